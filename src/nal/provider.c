#include "nal/provider.h"

static const struct provider *const providers[] = {
	&provider_file,
	&provider_http,
	&provider_http_tls,
	&provider_smb,
};

const struct provider *provider_of_scheme(enum locator_scheme scheme)
{
	for (size_t i = 0; i < COUNT_OF(providers); i++)
		if (providers[i]->scheme == scheme)
			return providers[i];
	return NULL;
}

const struct provider *provider_for(const struct way_target *target)
{
	if (target->mount_at != NULL)
		return &provider_file;
	return provider_of_scheme(target->where->scheme);
}

#include "cli/site_call.h"

int main(int argc, char **argv)
{
	static const struct verb *const groups[] = {
		site_base_verbs,       site_system_verbs,       site_group_verbs,
		site_package_verbs,    site_distribution_verbs, site_offer_verbs,
		site_cycle_verbs,      site_client_verbs,       site_report_verbs,
		site_credential_verbs, site_choice_verbs,       NULL,
	};

	return site_call_main(groups, argc, argv);
}

#include "nal/ntstatus.h"

#include <stddef.h>
#include <string.h>

#include "common/macros.h"

struct row {
	uint32_t code;
	const char *name;
	enum nal_class class;
};

static const struct row rows[] = {
	{ 0x00000000, "NT_STATUS_OK", NAL_CLASS_OK },
	{ 0xc0000022, "NT_STATUS_ACCESS_DENIED", NAL_CLASS_DENIED },
	{ 0xc0000064, "NT_STATUS_NO_SUCH_USER", NAL_CLASS_DENIED },
	{ 0xc000006a, "NT_STATUS_WRONG_PASSWORD", NAL_CLASS_DENIED },
	{ 0xc000006d, "NT_STATUS_LOGON_FAILURE", NAL_CLASS_DENIED },
	{ 0xc000006e, "NT_STATUS_ACCOUNT_RESTRICTION", NAL_CLASS_DENIED },
	{ 0xc0000070, "NT_STATUS_INVALID_WORKSTATION", NAL_CLASS_DENIED },
	{ 0xc0000072, "NT_STATUS_ACCOUNT_DISABLED", NAL_CLASS_DENIED },
	{ 0xc00000ca, "NT_STATUS_NETWORK_ACCESS_DENIED", NAL_CLASS_DENIED },
	{ 0xc000015b, "NT_STATUS_LOGON_TYPE_NOT_GRANTED", NAL_CLASS_DENIED },
	{ 0xc0000234, "NT_STATUS_ACCOUNT_LOCKED_OUT", NAL_CLASS_DENIED },
	{ 0xc0000418, "NT_STATUS_NTLM_BLOCKED", NAL_CLASS_DENIED },
	{ 0xc0000034, "NT_STATUS_OBJECT_NAME_NOT_FOUND", NAL_CLASS_NOT_FOUND },
	{ 0xc00000cc, "NT_STATUS_BAD_NETWORK_NAME", NAL_CLASS_NOT_FOUND },
	{ 0xc000009a, "NT_STATUS_INSUFFICIENT_RESOURCES", NAL_CLASS_BUSY },
	{ 0xc00000bf, "NT_STATUS_NETWORK_BUSY", NAL_CLASS_BUSY },
	{ 0xc00000ce, "NT_STATUS_TOO_MANY_SESSIONS", NAL_CLASS_BUSY },
	{ 0xc00000d0, "NT_STATUS_REQUEST_NOT_ACCEPTED", NAL_CLASS_BUSY },
	{ 0xc0000205, "NT_STATUS_INSUFF_SERVER_RESOURCES", NAL_CLASS_BUSY },
	{ 0xc00000b5, "NT_STATUS_IO_TIMEOUT", NAL_CLASS_TIMEOUT },
	{ 0xc00000be, "NT_STATUS_BAD_NETWORK_PATH", NAL_CLASS_UNREACHABLE },
	{ 0xc000020c, "NT_STATUS_CONNECTION_DISCONNECTED", NAL_CLASS_UNREACHABLE },
	{ 0xc000020d, "NT_STATUS_CONNECTION_RESET", NAL_CLASS_UNREACHABLE },
	{ 0xc0000236, "NT_STATUS_CONNECTION_REFUSED", NAL_CLASS_UNREACHABLE },
	{ 0xc000023c, "NT_STATUS_NETWORK_UNREACHABLE", NAL_CLASS_UNREACHABLE },
	{ 0xc000023d, "NT_STATUS_HOST_UNREACHABLE", NAL_CLASS_UNREACHABLE },
	{ 0xc00000c3, "NT_STATUS_INVALID_NETWORK_RESPONSE", NAL_CLASS_PROTOCOL },
};

static const struct row *find(uint32_t code)
{
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (rows[i].code == code)
			return &rows[i];
	return NULL;
}

enum nal_class ntstatus_class(uint32_t code)
{
	const struct row *row = find(code);

	return row != NULL ? row->class : NAL_CLASS_UNKNOWN;
}

const char *ntstatus_name(uint32_t code)
{
	const struct row *row = find(code);

	return row != NULL ? row->name : NULL;
}

static bool is_of_name(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

enum nal_class ntstatus_class_in(const char *text)
{
	const char *at = strstr(text, "NT_STATUS_");
	size_t size = 0;

	if (at == NULL)
		return NAL_CLASS_UNKNOWN;
	while (is_of_name(at[size]))
		size++;
	for (size_t i = 0; i < COUNT_OF(rows); i++)
		if (strlen(rows[i].name) == size && memcmp(rows[i].name, at, size) == 0)
			return rows[i].class;
	return NAL_CLASS_UNKNOWN;
}

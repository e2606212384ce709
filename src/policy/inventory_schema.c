#include "policy/inventory_schema.h"

#include <string.h>

const struct inventory_schema_table inventory_schema_tables[] = {
	{ "client",
	  { { "name", false },
	    { "site", false },
	    { "agent_version", false },
	    { "machine", false } } },
	{ "os",
	  { { "id", false },
	    { "name", false },
	    { "version", false },
	    { "kernel", false },
	    { "arch", false } } },
	{ "hardware",
	  { { "vendor", false },
	    { "product", false },
	    { "serial", false },
	    { "cpu", false },
	    { "cores", true },
	    { "memory_mb", true } } },
	{ "network",
	  { { "interface", false }, { "address", false }, { "prefix", true }, { "mac", false } } },
	{ "disk",
	  { { "device", false },
	    { "mount", false },
	    { "fstype", false },
	    { "size_mb", true },
	    { "free_mb", true } } },
	{ "software",
	  { { "name", false }, { "version", false }, { "arch", false }, { "source", false } } },
	{ NULL },
};

const struct inventory_schema_table *inventory_schema_find(const char *name)
{
	for (const struct inventory_schema_table *t = inventory_schema_tables; t->name != NULL; t++)
		if (strcmp(t->name, name) == 0)
			return t;
	return NULL;
}

/*
 * The shape of the site's database: its migrations, and every statement run on it
 * (site/statements.h). docs/formats/database.md describes the tables.
 *
 * PURE.
 */
#ifndef SITE_SCHEMA_H
#define SITE_SCHEMA_H

#include "common/db.h"

#define SCHEMA_APPLICATION_ID 0x506b5779u /* "PkWy" */

/* What db_open needs to know; lives as long as the program. */
const struct db_spec *schema_spec(void);

#endif

/*
 * What the verbs of packway-site share, and packway-serve: its settings, and opening the site that
 * they name.
 */
#ifndef CLI_SITE_CALL_H
#define CLI_SITE_CALL_H

#include "cli/verb.h"
#include "site/policydoc.h"
#include "site/site.h"

/* Open the site of --site, PACKWAY_SITE or the configuration; the caller closes it. */
bool site_call_open(struct site **out, const struct verb_call *call, struct err *err) MUST_USE;

/* What the configuration says of policy. */
struct policydoc_settings site_call_settings(const struct verb_call *call);

/* Run one of the site's programs, of these verbs; the result is its exit code. */
int site_call_main(const struct verb *const *groups, int argc, char **argv);

/* The tables of verbs, one per file. */
extern const struct verb site_base_verbs[];
extern const struct verb site_system_verbs[];
extern const struct verb site_group_verbs[];
extern const struct verb site_package_verbs[];
extern const struct verb site_offer_verbs[];
extern const struct verb site_client_verbs[];
extern const struct verb site_report_verbs[];
extern const struct verb site_choice_verbs[];
extern const struct verb site_distribution_verbs[];
extern const struct verb site_cycle_verbs[];
extern const struct verb site_credential_verbs[];

#endif

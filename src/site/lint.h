/*
 * What is wrong with boundaries, groups and the servers in them: settings that cannot work, that do
 * nothing, or that were probably not meant. Whether a group's machines reach a server is asked of
 * the choice itself (nal/select.h).
 */
#ifndef SITE_LINT_H
#define SITE_LINT_H

#include "site/site.h"

/*
 * Findings as an array of {"level","finding","about","text","fix"}, the worst first; the caller
 * owns it. *is_clean_out: none of them is a fault or a warning. docs/choosing.md lists them.
 */
bool lint_run(json_t **out, bool *is_clean_out, struct site *site, struct err *err) MUST_USE;

#endif

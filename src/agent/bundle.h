/*
 * Enrolment bundles (docs/formats/bundle.md): what a site's admin hands out, read into a request to
 * enrol.
 */
#ifndef AGENT_BUNDLE_H
#define AGENT_BUNDLE_H

#include <stdbool.h>

#include "common/error.h"
#include "common/jsondoc.h"
#include "common/macros.h"

#define BUNDLE_FOLDER_DEFAULT "/etc/packway/enroll.d"

/* Read `file` and set "caps" (the first ones, as many as a client keeps), "root" and "token" in
 * `request`. */
bool bundle_read(json_t *request, const char *file, struct err *err) MUST_USE;

/*
 * The names of the bundles in a folder ("*.json", no hidden ones), in their order, as a JSON array
 * of paths; an absent folder has none. The caller owns it.
 */
json_t *bundle_list(const char *folder) MUST_USE;

#endif

/*
 * A folder that keeps an updater's trusted files: STATE/metadata on a client.
 *
 * Plain files under the names that the updater gives, replaced whole. The folder belongs to whoever
 * runs the updater and is trusted; one updater at a time works on it.
 */
#ifndef TRUST_LOCALMETA_H
#define TRUST_LOCALMETA_H

#include <stdint.h>

#include "common/error.h"
#include "common/macros.h"
#include "common/span.h"
#include "trust/updater.h"
#include "trust/verdict.h"

/* The folder `dir` as a store; `dir` is kept and must outlive the updater. */
struct updater_store localmeta_store(const char *dir);

/*
 * Begin with `root`, the bytes of a trusted root file that came by a trusted way: make the folder
 * if needed and put root.json there. Other files stay; they are verified anew whenever they are
 * used. Refuses a root that its own keys did not sign.
 */
enum verdict localmeta_init(const char *dir, struct span root, struct err *err) MUST_USE;

/*
 * The clock's floor (struct updater_options): seconds since 1970 when the last timestamp was
 * accepted. 0 if none was noted, or the note cannot be read.
 */
int64_t localmeta_floor(const char *dir);
bool localmeta_set_floor(const char *dir, int64_t now_s, struct err *err) MUST_USE;

#endif

/*
 * The words of `packway-site serve`, which packway-site offers and packway-serve carries out.
 */
#ifndef CLI_SITE_SERVE_H
#define CLI_SITE_SERVE_H

#include "cli/options.h"

#define SITE_SERVE_SUMMARY "serve CAPs and DPs by HTTP, and run all cycles on timers"

extern const struct option_spec site_serve_options[];

#endif

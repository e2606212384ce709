#include "cli/site_serve.h"

const struct option_spec site_serve_options[] = {
	{ .name = "listen",
	  .type = OPTION_TEXT,
	  .value = "ADDR:PORT",
	  .help = "where to listen (0.0.0.0:8480)" },
	{ .name = "tls-cert", .type = OPTION_PATH, .help = "certificate chain (PEM)" },
	{ .name = "tls-key", .type = OPTION_PATH, .help = "its private key (PEM)" },
	{ .name = "reserve",
	  .type = OPTION_SIZE,
	  .value = "SIZE",
	  .help = "room on the site's disk below which no uploads are taken (64M)" },
	{ 0 },
};

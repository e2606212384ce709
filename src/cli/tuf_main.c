/*
 * packway-tuf: a thin test front of the metadata client, with the command line that public TUF test
 * suites drive. See docs/formats/metadata.md; the client itself is trust/updater.h.
 *
 * Exit status 0 for complete success, 1 for anything else.
 */
#include <curl/curl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/newfile.h"
#include "common/path.h"
#include "trust/localmeta.h"
#include "trust/rolename.h"
#include "trust/updater.h"

#define REDIRECTS_MAX     3L
#define CONNECT_TIMEOUT_S 15L
#define SLOW_BYTES_PER_S \
	2048L /* slower than this for SLOW_S seconds is given up, as in nal/way.h */
#define SLOW_S 10L

struct options {
	const char *metadata_dir;
	const char *metadata_url;
	const char *target_dir;
	const char *target_base_url;
	const char **target_names;
	size_t target_count;
};

static const char usage_text[] =
	"usage: packway-tuf --metadata-dir DIR init TRUSTED_ROOT\n"
	"       packway-tuf --metadata-url URL --metadata-dir DIR refresh\n"
	"       packway-tuf --metadata-url URL --metadata-dir DIR --target-name PATH [--target-name PATH ...]\n"
	"                   --target-dir TDIR --target-base-url TURL download\n";

/* Fetching by libcurl: one handle, so that its connection is kept. */
struct fetcher {
	CURL *curl;
	const char *base[2]; /* by enum updater_base */
};

struct sink {
	struct buf *out;
	size_t max;
	bool overflowed;
};

static size_t sink_write(char *bytes, size_t unit, size_t count, void *ctx)
{
	struct sink *sink = ctx;
	size_t size = unit * count;

	if (size > sink->max - sink->out->size) {
		sink->overflowed = true;
		return 0; /* ends the transfer */
	}
	buf_put(sink->out, bytes, size);
	return size;
}

static void set_up(CURL *curl, const char *url, struct sink *sink)
{
	curl_easy_reset(curl);
	curl_easy_setopt(curl, CURLOPT_URL, url);
	curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https,file");
	curl_easy_setopt(curl, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
	curl_easy_setopt(curl, CURLOPT_MAXREDIRS, REDIRECTS_MAX);
	curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
	curl_easy_setopt(curl, CURLOPT_FAILONERROR, 1L);
	curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_S);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, SLOW_BYTES_PER_S);
	curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, SLOW_S);
	curl_easy_setopt(curl, CURLOPT_USERAGENT, "packway-tuf/" PACKWAY_VERSION);
	curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, sink_write);
	curl_easy_setopt(curl, CURLOPT_WRITEDATA, sink);
}

/* Servers of buckets say 403 for what is not there. */
static bool says_not_found(CURL *curl, CURLcode code)
{
	long status = 0;

	if (code == CURLE_FILE_COULDNT_READ_FILE)
		return true;
	curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
	return code == CURLE_HTTP_RETURNED_ERROR && (status == 404 || status == 403);
}

/* The server was there, and kept us waiting. */
static bool was_slow(CURL *curl, CURLcode code)
{
	curl_off_t connected_us = 0;

	curl_easy_getinfo(curl, CURLINFO_PRETRANSFER_TIME_T, &connected_us);
	return code == CURLE_OPERATION_TIMEDOUT && connected_us > 0;
}

static enum updater_fetched fetch(void *ctx, const struct updater_request *request, struct buf *out,
				  struct err *err)
{
	struct fetcher *f = ctx;
	SCOPED_TEXT char *url = path_join(f->base[request->base], request->path);
	struct sink sink = { .out = out, .max = request->max };
	CURLcode code;

	set_up(f->curl, url, &sink);
	code = curl_easy_perform(f->curl);
	if (code == CURLE_OK)
		return UPDATER_GOT;
	if (sink.overflowed)
		return UPDATER_TOO_LARGE;
	if (says_not_found(f->curl, code))
		return UPDATER_NOT_FOUND;
	if (was_slow(f->curl, code)) {
		err_set(err, ERR_NET_TIMEOUT, "less than %ld bytes a second for %ld s",
			SLOW_BYTES_PER_S, SLOW_S);
		return UPDATER_SLOW;
	}
	err_set(err, ERR_NET, "%s: %s", url, curl_easy_strerror(code));
	return UPDATER_FAILED;
}

static int report(struct err *err, const char *what)
{
	err_what(err, "%s", what);
	log_error(err);
	return EXIT_FAILURE;
}

static int fail_usage(const char *why)
{
	fprintf(stderr, "packway-tuf: %s\n%s", why, usage_text);
	return EXIT_FAILURE;
}

static int run_init(const struct options *o, const char *root_file)
{
	SCOPED(buf) struct buf root = { 0 };
	struct err err;

	if (o->metadata_dir == NULL || root_file == NULL)
		return fail_usage("init needs --metadata-dir and the trusted root");
	if (!path_read(&root, root_file, ROLE_ROOT_MAX, &err) ||
	    localmeta_init(o->metadata_dir, buf_span(&root), &err) != VERDICT_OK)
		return report(&err, "trust the initial root");
	return EXIT_SUCCESS;
}

static struct updater *open_updater(const struct options *o, struct fetcher *f)
{
	struct updater_store store = localmeta_store(o->metadata_dir);
	struct updater_source source = { .fetch = fetch, .ctx = f };
	struct updater_options options = { .now_s = clock_wall_s(clock_system()) };

	return updater_new(&store, &source, &options);
}

static int run_refresh(const struct options *o, struct updater *u)
{
	struct err err;

	(void)o;
	if (updater_refresh(u, &err) != VERDICT_OK)
		return report(&err, "refresh the metadata");
	return EXIT_SUCCESS;
}

static bool is_there(const char *file, const struct updater_target *target)
{
	SCOPED(buf) struct buf bytes = { 0 };
	struct err ignored;

	return path_read(&bytes, file, (size_t)target->listing.length, &ignored) &&
	       updater_target_matches(target, buf_span(&bytes));
}

static bool download_one(const struct options *o, struct updater *u, const char *path,
			 struct err *err)
{
	SCOPED_TEXT char *name = rolename_target_file(path);
	SCOPED_TEXT char *file = path_join(o->target_dir, name);
	SCOPED(buf) struct buf bytes = { 0 };
	struct updater_target target;

	if (updater_find_target(u, path, &target, err) != VERDICT_OK)
		return false;
	if (is_there(file, &target))
		return true;
	return updater_fetch_target(u, &target, &bytes, err) == VERDICT_OK &&
	       newfile_write(file, 0644, buf_span(&bytes), err);
}

static int run_download(const struct options *o, struct updater *u)
{
	int status = EXIT_SUCCESS;
	struct err err;

	if (o->target_dir == NULL || o->target_base_url == NULL || o->target_count == 0)
		return fail_usage("download needs --target-name, --target-dir, --target-base-url");
	if (run_refresh(o, u) != EXIT_SUCCESS)
		return EXIT_FAILURE;
	if (!path_make_dirs(o->target_dir, 0755, &err))
		return report(&err, "make the folder for targets");
	for (size_t i = 0; i < o->target_count; i++)
		if (!download_one(o, u, o->target_names[i], &err))
			status = report(&err, "download a target");
	return status;
}

static int with_updater(const struct options *o,
			int (*run)(const struct options *o, struct updater *u))
{
	struct fetcher f = { .base = { [UPDATER_METADATA] = o->metadata_url,
				       [UPDATER_TARGETS] = o->target_base_url } };
	struct updater *u;
	int status;

	if (o->metadata_dir == NULL || o->metadata_url == NULL)
		return fail_usage("--metadata-dir and --metadata-url are needed");
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
	    (f.curl = curl_easy_init()) == NULL)
		return fail_usage("libcurl cannot start");
	u = open_updater(o, &f);
	status = run(o, u);
	updater_free(u);
	curl_easy_cleanup(f.curl);
	curl_global_cleanup();
	return status;
}

static bool take_options(struct options *o, int argc, char **argv)
{
	static const struct option known[] = {
		{ "metadata-dir", required_argument, NULL, 'd' },
		{ "metadata-url", required_argument, NULL, 'u' },
		{ "target-name", required_argument, NULL, 'n' },
		{ "target-dir", required_argument, NULL, 't' },
		{ "target-base-url", required_argument, NULL, 'b' },
		{ 0 },
	};
	int c;

	o->target_names = alloc_zeroed((size_t)argc, sizeof(*o->target_names));
	while ((c = getopt_long(argc, argv, "+", known, NULL)) != -1) {
		if (c == 'd')
			o->metadata_dir = optarg;
		else if (c == 'u')
			o->metadata_url = optarg;
		else if (c == 'n')
			o->target_names[o->target_count++] = optarg;
		else if (c == 't')
			o->target_dir = optarg;
		else if (c == 'b')
			o->target_base_url = optarg;
		else
			return false;
	}
	return true;
}

static int run_verb(const struct options *o, const char *verb, const char *argument)
{
	if (strcmp(verb, "init") == 0)
		return run_init(o, argument);
	if (strcmp(verb, "refresh") == 0)
		return with_updater(o, run_refresh);
	if (strcmp(verb, "download") == 0)
		return with_updater(o, run_download);
	return fail_usage("the verb is init, refresh or download");
}

int main(int argc, char **argv)
{
	struct options o = { 0 };
	int status;

	log_setup("packway-tuf", LOG_NORMAL);
	if (!take_options(&o, argc, argv) || optind >= argc)
		status = fail_usage("a verb is needed, behind the options");
	else
		status = run_verb(&o, argv[optind], argv[optind + 1]);
	free(o.target_names);
	return status;
}

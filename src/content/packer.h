/*
 * Makes a version of a package from a folder: new packs with the chunks that no earlier version
 * has, an index of all chunks of the version, and the manifest.
 *
 * The library holds packages in the layout of a distribution point:
 *
 *     <library>/<package>/packs/<hash>.pack
 *     <library>/<package>/index/<version>-<hash>
 *
 * Every index that stands there counts as an earlier version: its chunks are not written again, and
 * what no index names is removed at the next run. Whoever drops a version removes its index.
 *
 * What the source looked like is remembered in <library>/<package>/imprint. With it, files of the
 * latest version that have not been touched since are recognised without reading (imprint.h), and
 * the result is the same as if they had been read.
 *
 * Nothing appears under its final name before the whole source was read and found at rest; then
 * packs, last the index. After a kill only files named ".new-…", or packs that no index names, are
 * left, and the next run removes them. One run per package at a time, by a lock.
 *
 * Two threads at most work: the caller's and one more. Memory does not grow with the size of files.
 */
#ifndef CONTENT_PACKER_H
#define CONTENT_PACKER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/digest.h"
#include "common/error.h"
#include "common/macros.h"
#include "content/index.h"

/* Called from the caller's thread now and then; `done` ends at `total`. */
typedef void (*packer_progress_fn)(uint64_t done_bytes, uint64_t total_bytes, void *ctx);

struct packer_options {
	const char *library;
	const char *package;         /* its id */
	uint32_t version;            /* the number of the version to make, 1 or more */
	const char *source;          /* folder */
	uint32_t source_flags;       /* enum source_flag */
	const struct digest *latest; /* identity of the latest version's content; NULL for none */
	/*
	 * The latest version's manifest file, so that files that are as they were when it was made
	 * are not read; NULL for none.
	 */
	const char *latest_manifest;
	bool reads_all;              /* all the same */
	int level;                   /* zstd's, 1 to 19; 0: FRAME_LEVEL_DEFAULT */
	uint64_t pack_bytes;         /* begin another pack past this; 0: PACK_BYTES_TARGET */
	packer_progress_fn progress; /* NULL for none */
	void *progress_ctx;
	const atomic_bool *cancel; /* set by another thread or a signal handler; NULL for never */
};

enum packer_outcome {
	PACKER_MADE,      /* a new version is in the library */
	PACKER_UNCHANGED, /* the content is that of `latest`; nothing was written */
};

struct packer_result {
	enum packer_outcome outcome;
	uint32_t files;         /* regular files */
	uint64_t bytes;         /* of all files */
	uint64_t stream_bytes;  /* the same without repeated files */
	uint64_t new_raw_bytes; /* of chunks that no earlier version has */
	uint64_t new_bytes;     /* of the new packs: what has to be carried */
	uint32_t new_packs;
	uint32_t links_skipped;
	char *skipped_text;     /* the first of them, "" for none */
	struct digest identity; /* of the content: manifest_identity */
	struct digest manifest_digest;
	struct buf manifest;             /* the manifest file's bytes */
	char index_name[INDEX_NAME_MAX]; /* "<version>-<hash>" */
	uint64_t index_size;
};

void packer_result_release(struct packer_result *r);
SCOPED_RELEASE(packer_result);

/*
 * Make a version; `out` is to be released by the caller, even after a failure.
 *
 * Faults: those of source_open and of source_read_begin and _end
 *         ERR_SOURCE       source and library overlap
 *         ERR_LOCKED       another run works on the package
 *         ERR_INTERRUPTED  `cancel` was set
 *         ERR_DISK_FULL, ERR_IO  the library cannot be written
 */
bool packer_run(struct packer_result *out, const struct packer_options *options, struct err *err)
	MUST_USE;

struct packer_repeated {
	char index_name[INDEX_NAME_MAX];
	uint64_t index_size;
};

/*
 * Make version `version` from an earlier one by its index, for a rollback: the same packs under a
 * new name, without patches and streams. The manifest is the earlier one's.
 * ERR_NOT_FOUND where the index or one of its packs is no longer in the library.
 */
bool packer_repeat(struct packer_repeated *out, const char *library, const char *package,
		   uint32_t version, const char *earlier_index, struct err *err) MUST_USE;

#endif

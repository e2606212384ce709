/*
 * Writes fuzz/corpus/negotiate and fuzz/corpus/ipcshare, answers as servers give them:
 *
 *     ninja -C build fuzz/nal/smb_corpus && build/fuzz/nal/smb_corpus fuzz/corpus
 */
#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/newfile.h"
#include "common/path.h"
#include "nal/negotiate.h"
#include "nal/ntstatus.h"
#include "nal/smbframe.h"

#define STATUS_AT 12 /* of a message with its length */
#define FLAGS_AT  20
#define ANSWER    1 /* flag SMB2_FLAGS_SERVER_TO_REDIR */

static void put(const char *corpus, const char *target, const char *name, struct span bytes)
{
	SCOPED_TEXT char *folder = path_join(corpus, target), *path = path_join(folder, name);
	struct err err;

	if (path_make_dirs(folder, 0755, &err) && newfile_write(path, 0644, bytes, &err))
		return;
	fprintf(stderr, "%s: %s\n", name, err.why);
	exit(1);
}

static void put_answer(struct buf *out, uint16_t command, uint64_t message, uint32_t status,
		       uint32_t flags, struct span body)
{
	const struct smbframe head = {
		.command = command, .message = message, .tree = 7, .session = 0x51
	};
	size_t start = smbframe_begin(out, &head);

	buf_put_span(out, body);
	smbframe_end(out, start);
	memcpy((uint8_t *)out->data + start + STATUS_AT, &status, sizeof(status));
	memcpy((uint8_t *)out->data + start + FLAGS_AT, &flags, sizeof(flags));
}

static void put_negotiate_body(struct buf *out, uint16_t size, uint16_t dialect)
{
	static const uint8_t zeros[24];

	buf_put_u16(out, size);
	buf_put_u16(out, 3);
	buf_put_u16(out, dialect);
	buf_put_u16(out, 0);
	buf_put(out, "nas12", 5);
	buf_put(out, zeros, NEGOTIATE_GUID_SIZE - 5);
	for (int i = 0; i < 4; i++)
		buf_put_u32(out, 8u << 20);
	buf_put(out, zeros, sizeof(zeros));
}

static void negotiate_case(const char *corpus, const char *name, uint32_t status, uint16_t size,
			   uint16_t dialect)
{
	SCOPED(buf) struct buf body = { 0 }, out = { 0 };

	put_negotiate_body(&body, size, dialect);
	put_answer(&out, SMBFRAME_NEGOTIATE, 0, status, ANSWER, buf_span(&body));
	put(corpus, "negotiate", name, buf_span(&out));
}

static void put_negotiates(const char *corpus)
{
	SCOPED(buf) struct buf body = { 0 }, out = { 0 };

	negotiate_case(corpus, "smb202", 0, 65, 0x0202);
	negotiate_case(corpus, "smb311", 0, 65, 0x0311);
	negotiate_case(corpus, "wildcard", 0, 65, 0x02ff);
	negotiate_case(corpus, "refused", 0xc00000bb, 9, 0);
	negotiate_case(corpus, "bad-size", 0, 64, 0x0300);
	negotiate_case(corpus, "bad-dialect", 0, 65, 0x0666);
	put_negotiate_body(&body, 65, 0x0302);
	put_answer(&out, SMBFRAME_NEGOTIATE, 0, 0, ANSWER, buf_span(&body));
	put(corpus, "negotiate", "cut", span_of(out.data, out.size - 1));
	put(corpus, "negotiate", "short-length", span_of(out.data, 3));
	put_answer(&out, SMBFRAME_LOGOFF, 1, 0, ANSWER, buf_span(&body));
	put(corpus, "negotiate", "two", buf_span(&out));
	buf_clear(&out);
	put_answer(&out, SMBFRAME_NEGOTIATE, 0, 0, ANSWER, span_of(body.data, 20));
	put(corpus, "negotiate", "short-body", buf_span(&out));
	put(corpus, "negotiate", "shut-out", span_of("\x83\0\0\1\x81", 5));
	put(corpus, "negotiate", "http", span_of_text("HTTP/1.1 400 Bad Request\r\n\r\n"));
	put(corpus, "negotiate", "smb1", span_of("\0\0\0\x40\xffSMB", 8));
	put(corpus, "negotiate", "too-long", span_of("\0\xff\xff\xff\xfeSMB", 8));
	put(corpus, "negotiate", "too-short", span_of("\0\0\0\4\xfeSMB", 8));
	put(corpus, "negotiate", "empty", span_of_text(""));
}

/* The answers of a server that lets us at IPC$, up to leg `legs`, the last with `status`. */
static void ipcshare_case(const char *corpus, const char *name, size_t legs, uint32_t status)
{
	static const uint16_t commands[] = { SMBFRAME_SESSION_SETUP, SMBFRAME_SESSION_SETUP,
					     SMBFRAME_TREE_CONNECT, SMBFRAME_TREE_DISCONNECT,
					     SMBFRAME_LOGOFF };
	SCOPED(buf) struct buf out = { 0 };

	for (size_t i = 0; i < legs; i++) {
		uint32_t good = i == 0 ? NTSTATUS_MORE_PROCESSING : NTSTATUS_SUCCESS;

		put_answer(&out, commands[i], i + 1, i + 1 < legs ? good : status, ANSWER,
			   span_of("\4\0\0\0", 4));
	}
	put(corpus, "ipcshare", name, buf_span(&out));
}

static void put_ipcshares(const char *corpus)
{
	SCOPED(buf) struct buf out = { 0 };

	ipcshare_case(corpus, "whole", 5, NTSTATUS_SUCCESS);
	ipcshare_case(corpus, "no-ntlm", 1, 0xc00000bb);
	ipcshare_case(corpus, "done-too-early", 1, NTSTATUS_SUCCESS);
	ipcshare_case(corpus, "no-anonymous", 2, 0xc000006d);
	ipcshare_case(corpus, "another-leg", 2, NTSTATUS_MORE_PROCESSING);
	ipcshare_case(corpus, "denied", 3, 0xc0000022);
	ipcshare_case(corpus, "busy", 3, 0xc00000d0);
	ipcshare_case(corpus, "not-released", 4, 0xc00000c9);
	put_answer(&out, SMBFRAME_SESSION_SETUP, 1, NTSTATUS_PENDING, ANSWER | SMBFRAME_DEFERRED,
		   span_of("\4\0\0\0", 4));
	put_answer(&out, SMBFRAME_LOGOFF, 1, 0, ANSWER, span_of("\4\0\0\0", 4));
	put(corpus, "ipcshare", "wrong-command", buf_span(&out));
}

int main(int argc, char **argv)
{
	if (argc != 2) {
		fprintf(stderr, "usage: smb_corpus FOLDER\n");
		return 2;
	}
	put_negotiates(argv[1]);
	put_ipcshares(argv[1]);
	return 0;
}

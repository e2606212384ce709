#include "support/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/log.h"
#include "common/path.h"

/* What `act` prints on standard error, in a process of its own. */
static void printed_by(struct buf *out, void (*act)(void))
{
	char bytes[4096];
	int ends[2];
	ssize_t n;
	pid_t child;

	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		dup2(ends[1], STDERR_FILENO);
		act();
		_exit(0);
	}
	close(ends[1]);
	n = path_read_fd(ends[0], bytes, sizeof(bytes));
	close(ends[0]);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_true(n >= 0);
	buf_put(out, bytes, (size_t)n);
}

static void say_all(void)
{
	log_warn("a %s", "warning");
	log_note("a note");
	log_debug("a detail");
}

static void quietly(void)
{
	log_setup("tool", LOG_QUIET);
	say_all();
}

static void normally(void)
{
	log_setup("tool", LOG_NORMAL);
	say_all();
}

static void verbosely(void)
{
	log_setup("tool", LOG_VERBOSE);
	say_all();
}

static void levels_say_how_much_is_printed(void **state UNUSED)
{
	static const struct {
		void (*act)(void);
		const char *want;
	} cases[] = {
		{ quietly, "" },
		{ normally, "tool: warning: a warning\ntool: a note\n" },
		{ verbosely, "tool: warning: a warning\ntool: a note\ntool: a detail\n" },
	};

	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		SCOPED(buf) struct buf got = { 0 };

		printed_by(&got, cases[i].act);
		assert_string_equal(buf_text(&got), cases[i].want);
	}
}

static void say_foreign(void)
{
	struct err err = { 0 };

	log_setup("tool", LOG_QUIET);
	log_note("unseen");
	err_set(&err, ERR_NET, "the server said \"\x1b[31m\ntool: forged\"");
	err_what(&err, "cannot ask");
	log_error(&err);
}

static void a_fault_has_three_lines_whatever_is_in_it(void **state UNUSED)
{
	SCOPED(buf) struct buf got = { 0 };

	printed_by(&got, say_foreign);
	assert_string_equal(buf_text(&got),
			    "tool: cannot ask\n"
			    "  the server said \"\\x1b[31m\\ntool: forged\"\n"
			    "  check the server and the way to it: packway doctor [PW-NET]\n");
}

/* The child's exit code says what went wrong. */
static int open_with_all_closed(void)
{
	char byte;
	int fd;

	for (fd = 0; fd <= STDERR_FILENO; fd++)
		close(fd);
	log_setup("tool", LOG_NORMAL);
	fd = open("/dev/null", O_RDWR);
	if (fd <= STDERR_FILENO)
		return 1;
	if (write(STDOUT_FILENO, "x", 1) != -1 || errno != EBADF)
		return 2;
	if (read(STDIN_FILENO, &byte, 1) != -1 || errno != EBADF)
		return 3;
	log_warn("for nobody");
	return 0;
}

static void closed_descriptors_are_not_given_to_files(void **state UNUSED)
{
	pid_t child = fork();
	int status;

	if (child == 0)
		_exit(open_with_all_closed());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

TESTING_MAIN(cmocka_unit_test(levels_say_how_much_is_printed),
	     cmocka_unit_test(a_fault_has_three_lines_whatever_is_in_it),
	     cmocka_unit_test(closed_descriptors_are_not_given_to_files))

/*
 * A mapped file that changes under its reader. Each case is a child: the handler of SIGBUS is set
 * once in a program, and cmocka sets its own for each case.
 */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/mapped.h"
#include "support/testing.h"

#define PAGE ((size_t)64 << 10) /* a multiple of any machine's */
#define SIZE (4 * PAGE - 100)

/* The status that a child ends with, which returns how many expectations did not hold. */
static int status_of_child(int (*act)(void))
{
	int status = -1;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0)
		_exit(act());
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void assert_held(int (*act)(void))
{
	int status = status_of_child(act);

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static int make_file(void)
{
	static uint8_t bytes[SIZE];
	int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	memset(bytes, 'x', sizeof(bytes));
	if (fd < 0 || pwrite(fd, bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		_exit(100);
	return fd;
}

static void shorten(int fd, size_t size)
{
	if (ftruncate(fd, (off_t)size) != 0)
		_exit(100);
}

static size_t count_of(const struct mapped *m, uint8_t byte)
{
	size_t n = 0;

	for (size_t i = 0; i < m->size; i++)
		n += ((const volatile uint8_t *)m->at)[i] == byte;
	return n;
}

static int read_a_file(void)
{
	int fd = make_file(), wrong = 0;
	struct mapped m;

	wrong += !mapped_open(&m, fd, SIZE);
	close(fd);
	wrong += count_of(&m, 'x') != SIZE;
	wrong += !mapped_is_whole(&m);
	mapped_close(&m);
	wrong += m.at != NULL;
	mapped_close(&m);
	return wrong;
}

static void mapped_files_are_read_where_they_stand(void **state UNUSED)
{
	assert_held(read_a_file);
}

static int lose_the_end_of_a_file(void)
{
	int fd = make_file(), wrong = 0;
	struct mapped m, other;

	wrong += !mapped_open(&m, fd, SIZE) + !mapped_open(&other, fd, PAGE);
	shorten(fd, PAGE);
	wrong += count_of(&m, 'x') != PAGE;
	wrong += count_of(&m, 0) != SIZE - PAGE;
	wrong += mapped_is_whole(&m);
	wrong += count_of(&other, 'x') != PAGE;
	wrong += !mapped_is_whole(&other);
	mapped_close(&m);
	mapped_close(&other);
	return wrong;
}

static void what_a_file_lost_reads_as_zeros_and_is_told(void **state UNUSED)
{
	assert_held(lose_the_end_of_a_file);
}

static int map_another_after_a_loss(void)
{
	int fd = make_file(), wrong = 0;
	struct mapped m;

	wrong += !mapped_open(&m, fd, SIZE);
	shorten(fd, 0);
	wrong += count_of(&m, 0) != SIZE;
	mapped_close(&m);
	wrong += !mapped_open(&m, make_file(), SIZE);
	wrong += !mapped_is_whole(&m);
	wrong += count_of(&m, 'x') != SIZE;
	return wrong;
}

static void a_place_is_whole_again_for_the_next_file(void **state UNUSED)
{
	assert_held(map_another_after_a_loss);
}

static int map_too_many(void)
{
	struct mapped all[MAPPED_MAX], one;
	int fd = make_file(), wrong = 0;

	wrong += mapped_open(&one, fd, SIZE + 1);
	wrong += one.at != NULL;
	for (size_t i = 0; i < MAPPED_MAX; i++)
		wrong += !mapped_open(&all[i], fd, SIZE);
	wrong += mapped_open(&one, fd, SIZE);
	mapped_close(&all[7]);
	wrong += !mapped_open(&all[7], fd, SIZE);
	return wrong;
}

static void files_that_are_too_short_or_too_many_are_not_mapped(void **state UNUSED)
{
	assert_held(map_too_many);
}

static int lose_a_file_of_others(void)
{
	int fd = make_file();
	const volatile uint8_t *at = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, fd, 0);
	struct mapped m;

	signal(SIGBUS, SIG_DFL); /* a sanitizer's would write a page about it */
	if (!mapped_open(&m, fd, SIZE))
		return 1;
	shorten(fd, 0);
	return at[PAGE] == 0 ? 2 : 3;
}

static int get_the_signal_sent(void)
{
	struct mapped m;

	signal(SIGBUS, SIG_DFL);
	if (!mapped_open(&m, make_file(), SIZE))
		return 1;
	kill(getpid(), SIGBUS);
	return 2;
}

static void assert_ended_by_the_signal(int (*act)(void))
{
	int status = status_of_child(act);

	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGBUS);
}

static void a_fault_elsewhere_ends_the_program_as_ever(void **state UNUSED)
{
	assert_ended_by_the_signal(lose_a_file_of_others);
	assert_ended_by_the_signal(get_the_signal_sent);
}

#define CASE(name) cmocka_unit_test(name)

TESTING_MAIN(CASE(mapped_files_are_read_where_they_stand),
	     CASE(what_a_file_lost_reads_as_zeros_and_is_told),
	     CASE(a_place_is_whole_again_for_the_next_file),
	     CASE(files_that_are_too_short_or_too_many_are_not_mapped),
	     CASE(a_fault_elsewhere_ends_the_program_as_ever))

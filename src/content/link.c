#include "content/link.h"

#include "common/buf.h"

/* Linux follows so many in one path and then gives up with ELOOP, so such a path leads nowhere. */
#define HOPS_MAX 40

struct walk {
	struct buf at;   /* where it stands: a path from the root, empty for the root */
	struct buf rest; /* components still to go */
};

static void walk_release(struct walk *w)
{
	buf_release(&w->at);
	buf_release(&w->rest);
}
SCOPED_RELEASE(walk);

static struct span parent_of(struct span path)
{
	while (path.size > 0 && path.data[path.size - 1] != '/')
		path.size--;
	if (path.size > 0)
		path.size--;
	return path;
}

static void go_to(struct walk *w, struct span path)
{
	w->at.size = path.size; /* only ever a beginning of what is there */
}

/* Put `target` in front of what is left. */
static void prepend(struct walk *w, struct span target, struct span left)
{
	struct buf joined = { 0 };

	buf_put_span(&joined, target);
	buf_put_u8(&joined, '/');
	buf_put_span(&joined, left);
	buf_release(&w->rest);
	w->rest = joined;
}

static struct span take_component(struct span *rest)
{
	struct span component;

	if (!span_take_until(rest, &component, '/', rest->size)) {
		component = *rest;
		*rest = span_skip(*rest, rest->size);
	}
	return component;
}

static void enter(struct walk *w, struct span component)
{
	if (w->at.size > 0)
		buf_put_u8(&w->at, '/');
	buf_put_span(&w->at, component);
}

enum link_verdict link_judge(struct span path, struct span target, link_target_fn find, void *ctx)
{
	SCOPED(walk) struct walk w = { 0 };
	struct span left;
	unsigned int hops = 0;

	if (target.size > 0 && target.data[0] == '/')
		return LINK_ABSOLUTE;
	buf_put_span(&w.at, parent_of(path));
	buf_put_span(&w.rest, target);
	left = buf_span(&w.rest);
	for (unsigned int steps = 0; left.size > 0; steps++) {
		struct span component = take_component(&left);
		const char *further;

		if (steps == LINK_STEPS_MAX)
			return LINK_TANGLED;
		if (component.size == 0 || span_equal_text(component, "."))
			continue;
		if (span_equal_text(component, "..")) {
			if (w.at.size == 0)
				return LINK_CLIMBS;
			go_to(&w, parent_of(buf_span(&w.at)));
			continue;
		}
		enter(&w, component);
		further = find(buf_span(&w.at), ctx);
		if (further == NULL)
			continue;
		if (further[0] == '/')
			return LINK_ABSOLUTE;
		if (++hops > HOPS_MAX)
			return LINK_INSIDE;
		go_to(&w, parent_of(buf_span(&w.at)));
		prepend(&w, span_of_text(further), left);
		left = buf_span(&w.rest);
	}
	return LINK_INSIDE;
}

const char *link_verdict_text(enum link_verdict verdict)
{
	static const char *const texts[] = {
		[LINK_INSIDE] = "stays in the tree",
		[LINK_ABSOLUTE] = "is absolute",
		[LINK_CLIMBS] = "climbs out of the tree",
		[LINK_TANGLED] = "is too tangled to follow",
	};
	static_assert(COUNT_OF(texts) == LINK_VERDICT_COUNT_, "every verdict has a text");

	return texts[verdict];
}

#include "site/wanted.h"

#include <stdio.h>
#include <stdlib.h>

#include "common/alloc.h"
#include "common/path.h"
#include "site/distribute.h"

void wanted_release(struct wanted *item)
{
	free(item->index_name);
	free(item->held);
}

void wanted_list_release(struct wanted_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		wanted_release(&list->items[i]);
	free(list->items);
	*list = (struct wanted_list){ 0 };
}

bool wanted_load(struct wanted_list *out, struct site *site, int64_t dp, enum wanted_scope scope,
		 struct err *err)
{
	SCOPED(db_rows)
	struct db_rows rows = db_query(site->db,
				       scope == WANTED_DUE ? STMT_DP_WANTED : STMT_DP_NAMED,
				       DB_ARGS(db_int(dp), db_int(DISTRIBUTE_KEEP_VERSIONS)));

	while (db_rows_next(&rows)) {
		struct wanted *item;

		ALLOC_GROW(out->items, out->count);
		item = &out->items[out->count++];
		*item = (struct wanted){
			.version = db_rows_int(&rows, 1),
			.index_name = alloc_text(db_rows_text(&rows, 2)),
			.is_valid = db_rows_int(&rows, 3) != 0,
			.is_addition = db_rows_int(&rows, 4) != 0,
			.held = alloc_text(db_rows_text(&rows, 5)),
		};
		snprintf(item->package, sizeof(item->package), "%s", db_rows_text(&rows, 0));
	}
	return db_rows_finish(&rows, err);
}

static bool load_index(struct index **out, struct buf *bytes, const struct site *site,
		       const struct wanted *item, struct err *err)
{
	SCOPED_TEXT char *path = alloc_printf("%s/library/%s/index/%s", site->dir, item->package,
					      item->index_name);

	return path_read(bytes, path, INDEX_BYTES_MAX, err) &&
	       index_read(out, buf_span(bytes), err);
}

bool wanted_each_object(struct site *site, const struct wanted *item, wanted_object_fn fn,
			void *ctx, struct err *err)
{
	SCOPED(index) struct index *idx = NULL;
	SCOPED(buf) struct buf bytes = { 0 };
	struct index_object object;
	struct index_object_iter it;

	if (!load_index(&idx, &bytes, site, item, err))
		return false;
	it = index_objects(idx, (uint32_t)item->version, buf_span(&bytes));
	while (index_object_next(&it, &object)) {
		char name[WANTED_OBJECT_MAX + 1];

		snprintf(name, sizeof(name), "%s/%s", item->package, object.name);
		if (!fn(ctx, name, &object, err))
			return false;
	}
	return true;
}

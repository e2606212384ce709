#include "content/store_seeds.h"

#include <stdlib.h>
#include <string.h>

#include "common/alloc.h"
#include "common/path.h"

/* An item as a seed for `wanted`: how it ranks against others. */
struct ranked {
	const struct store_item *item;
	bool related; /* same package */
};

static int compare_ranked(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->related != y->related)
		return x->related ? -1 : 1;
	if (x->related && x->item->id.version != y->item->id.version)
		return x->item->id.version > y->item->id.version ? -1 : 1;
	if (x->item->last_used_s != y->item->last_used_s)
		return x->item->last_used_s > y->item->last_used_s ? -1 : 1;
	return x->item < y->item ? -1 : 1; /* as store_list has them */
}

static struct assemble_seed seed_of(const struct store *store, const struct ranked *ranked)
{
	const struct store_item *item = ranked->item;
	SCOPED_TEXT char *built = store_build_path(store, &item->id);

	if (item->complete || store_stands(store, &item->id))
		return (struct assemble_seed){
			.tree = store_tree_path(store, &item->id),
			.manifest = store_manifest_path(store, &item->id),
			.version = ranked->related ? item->id.version : 0,
		};
	return (struct assemble_seed){ path_join(built, "tree"), path_join(built, "manifest"), 0 };
}

bool store_seeds_init(struct store_seeds *out, struct store *store, const struct store_id *id,
		      struct err *err)
{
	struct store_item *items;
	struct ranked *ranked;
	size_t count;

	*out = (struct store_seeds){ 0 };
	if (!store_list(&items, &count, store, err))
		return false;
	ranked = alloc_zeroed(MAX_OF(count, 1), sizeof(*ranked));
	out->list = alloc_zeroed(MAX_OF(count, 1), sizeof(*out->list));
	for (size_t i = 0; i < count; i++)
		ranked[i] = (struct ranked){ &items[i],
					     strcmp(items[i].id.package, id->package) == 0 };
	qsort(ranked, count, sizeof(*ranked), compare_ranked);
	for (size_t i = 0; i < count && out->count < STORE_SEEDS_MAX; i++)
		if (!store_id_equal(&ranked[i].item->id, id))
			out->list[out->count++] = seed_of(store, &ranked[i]);
	free(ranked);
	free(items);
	return true;
}

void store_seeds_release(struct store_seeds *seeds)
{
	for (size_t i = 0; i < seeds->count; i++) {
		free(seeds->list[i].tree);
		free(seeds->list[i].manifest);
	}
	free(seeds->list);
	*seeds = (struct store_seeds){ 0 };
}

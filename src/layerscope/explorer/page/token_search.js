"use strict";
/* Which neurons have a token in one of their lists of ten tokens. */
{
  const { element, row, go, count, tokenText, manifest } = layerscope;
  const SUGGESTED = 12;
  const EACH = manifest.neurons_per_file;
  // As the address has it → the array of the data files, and its name for readers.
  const LISTS = new Map([
    ["top", ["types_top", "token types with the largest mean"]],
    ["bottom", ["types_bottom", "token types with the smallest mean"]],
    ["promoted", ["logits_top", "promoted tokens"]],
    ["suppressed", ["logits_bottom", "suppressed tokens"]],
  ]);
  layerscope.tokenLists = [...LISTS].map(([name, [, label]]) => [name, label]);

  /* Of a text that the reader typed: the token types meant, and a line that says which, with others that contain it. */
  layerscope.searchedTokens = (vocabulary, query, among) => {
    const [same, containing] = layerscope.findTokens(vocabulary, query);
    const others = containing.slice(0, SUGGESTED).map((id) =>
      element("button", { type: "button", class: "suggestion", title: `token id ${id}`, click: () => go({ token: `#${id}` }) },
        layerscope.tokenElement(vocabulary, id)));
    const line = element("span", {});
    if (same.length) line.append(`Neurons with ${same.map((id) => tokenText(vocabulary, id)).join(" or ")} among their ten ${LISTS.get(among)[1]}. `);
    else line.append(`No token is ${query}. `);
    if (others.length) line.append(containing.length > SUGGESTED ? `Tokens that contain it (${SUGGESTED} of ${count(containing.length)}): ` : "Tokens that contain it: ", ...others);
    return { ids: new Set(same), line };
  };

  /* Those of `rows` (numbers of neurons, in order) with one of `ids` in the list `among`. Reads the files that `rows`
     lie in; `progress` hears of each. Null for a model that has no such list. */
  layerscope.withToken = async (model, rows, ids, among, progress, alive) => {
    const [list] = LISTS.get(among);
    const byFile = new Map(); // number of the first neuron of a file → those of `rows` in it
    for (const i of rows) {
      const first = i - ((i - model.starts[layerscope.layerOf(model, i)]) % EACH);
      if (!byFile.has(first)) byFile.set(first, []);
      byFile.get(first).push(i);
    }
    const found = [];
    let done = 0;
    for (const [first, members] of byFile) {
      const layer = layerscope.layerOf(model, first);
      progress(done, byFile.size, `layer ${layer} of ${model.name}`);
      const { file } = await layerscope.fileOf(model.name, layer, first - model.starts[layer]);
      if (!alive()) return new Uint32Array(0);
      if (!file.arrays[list]) return null;
      for (const i of members) if (row(file, list, i - first).some((id) => ids.has(id))) found.push(i);
      done++;
    }
    return Uint32Array.from(found);
  };
}

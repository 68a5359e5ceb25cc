"use strict";
/* Which neurons have a token among their top types. */
{
  const { element, row, go, count, tokenText } = layerscope;
  const SUGGESTED = 12;

  /* Of a text that the reader typed: the token types meant, and a line that says which, with others that contain it. */
  layerscope.searchedTokens = (vocabulary, query) => {
    const [same, containing] = layerscope.findTokens(vocabulary, query);
    const others = containing.slice(0, SUGGESTED).map((id) =>
      element("button", { type: "button", class: "suggestion", title: `token id ${id}`, click: () => go({ token: `#${id}` }) },
        layerscope.tokenElement(vocabulary, id)));
    const line = element("span", {});
    if (same.length) line.append(`Neurons with ${same.map((id) => tokenText(vocabulary, id)).join(" or ")} among their top token types. `);
    else line.append(`No token is ${query}. `);
    if (others.length) line.append(containing.length > SUGGESTED ? `Tokens that contain it (${SUGGESTED} of ${count(containing.length)}): ` : "Tokens that contain it: ", ...others);
    return { ids: new Set(same), line };
  };

  /* Those of `rows` (numbers of neurons, in order) with one of `ids` among their top types. Reads the files of the
     layers that `rows` lie in; `progress` hears of each. */
  layerscope.withTopType = async (model, rows, ids, progress, alive) => {
    const byLayer = new Map();
    for (const i of rows) {
      const layer = layerscope.layerOf(model, i);
      if (!byLayer.has(layer)) byLayer.set(layer, []);
      byLayer.get(layer).push(i);
    }
    const found = [];
    let done = 0;
    for (const [layer, members] of byLayer) {
      progress(done, byLayer.size, `layer ${layer} of ${model.name}`);
      const file = await layerscope.layerFile(model.name, layer);
      if (!alive()) return new Uint32Array(0);
      for (const i of members) if (row(file, "types_top", i - model.starts[layer])?.some((id) => ids.has(id))) found.push(i);
      done++;
    }
    return Uint32Array.from(found);
  };
}

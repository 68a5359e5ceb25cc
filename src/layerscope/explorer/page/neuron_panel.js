"use strict";
/* All that the files say of one neuron. */
{
  const { element, row, short, count, manifest, columns, NONE } = layerscope;

  /* Rows of token, value and count; `address` gives where the link of a token leads. */
  const tokenTable = ({ title, vocabulary, ids, values, heading, counts, colouring, address }) => {
    const present = Array.from(ids.keys()).filter((i) => ids[i] !== NONE);
    return element("table", { class: "tokens" }, element("caption", {}, title),
      element("thead", {}, element("tr", {}, element("th", { scope: "col" }, "token"),
        element("th", { scope: "col", class: "number" }, heading), counts ? element("th", { scope: "col", class: "number" }, "count") : null)),
      element("tbody", {}, present.map((i) => {
        const value = element("td", { class: "number" }, short(values[i]));
        colouring?.paint(value, values[i]);
        const token = layerscope.tokenElement(vocabulary, ids[i], { title: `token id ${ids[i]}` });
        return element("tr", {},
          element("td", {}, element("a", { href: address(ids[i]), title: "Neurons of this layer with this token in the same list" }, token)),
          value, counts ? element("td", { class: "number" }, count(counts[i])) : null);
      }), present.length ? null : element("tr", {}, element("td", {}, "none"))));
  };

  /* Where the neurons of a layer are that have a token in one of the lists. */
  const addressOf = (model, layer, among) => (id) =>
    layerscope.link({ view: "table", model, filter: `layer=${layer}`, both: "", token: `#${id}`, among });

  const types = ({ model, layer }, { file, at }, vocabulary, colouring) => [
    ["top", "Token types with the largest mean"], ["bottom", "Token types with the smallest mean"],
  ].map(([side, title]) => {
    const address = addressOf(model, layer, side);
    const [ids, values, counts] = ["", "_mean", "_tokens"].map((part) => row(file, `types_${side}${part}`, at));
    return ids ? tokenTable({ title, vocabulary, ids, values, heading: "mean", counts, colouring, address }) : null;
  });

  const logits = ({ model, layer }, { file, at }, vocabulary) => [
    ["top", "promoted", "Promoted by its output weights"], ["bottom", "suppressed", "Suppressed by its output weights"],
  ].map(([side, among, title]) => {
    const address = addressOf(model, layer, among);
    const [ids, values] = ["", "_value"].map((part) => row(file, `logits_${side}${part}`, at));
    return ids ? tokenTable({ title, vocabulary, ids, values, heading: "logit", address }) : null;
  });

  const statisticsList = (statistics) =>
    element("dl", { class: "statistics" }, manifest.columns.filter(({ name }) => name in statistics).map(({ name, description }) =>
      element("div", {}, element("dt", {}, columns.get(name).label), element("dd", {}, short(statistics[name])),
        element("dd", { class: "meaning" }, description))));

  /* The neuron of another model that is most like the one in a file: {model, layer, neuron, r}; null if there is none. */
  layerscope.matchOf = ({ file, at }) => {
    const { match_layer: layers, match_neuron: neurons, match_r: r } = file.arrays;
    if (!layers || layers[at] < 0 || neurons[at] < 0 || !layerscope.models.has(file.facts.matched)) return null;
    return { model: file.facts.matched, layer: layers[at], neuron: neurons[at], r: r[at] };
  };

  const statisticsAt = async ([model, layer, neuron]) => {
    const { file, at } = await layerscope.fileOf(model, layer, neuron);
    return layerscope.statisticsOf(layerscope.models.get(model), file, at);
  };

  /* The panel of a neuron. If others are `shown` with it, each [model, layer, neuron], it leaves out what a comparison
     does not need. */
  layerscope.neuronPanel = async ([modelName, layer, neuron], shown) => {
    const brief = shown.length > 1;
    const model = layerscope.models.get(modelName);
    const [own, vocabulary] = await Promise.all([layerscope.fileOf(modelName, layer, neuron), layerscope.vocabularyOf(model)]);
    const { file, at } = own;
    const id = `${modelName}-layer-${layer}-neuron-${neuron}`;
    const statistics = layerscope.statisticsOf(model, file, at);
    const together = await Promise.all(shown.map(statisticsAt));
    const colouring = layerscope.colouring(row(file, "window_low", at)[0], row(file, "window_high", at)[0]);
    const contexts = await layerscope.contexts(model, file, at, vocabulary, colouring, brief ? ["most"] : null);
    const place = { model: modelName, layer };
    const direct = logits(place, own, vocabulary);
    return element("div", { class: "panel" },
      brief ? element("h3", {}, layerscope.nameOf(modelName, layer, neuron)) : null,
      element("div", { class: "figures" }, layerscope.effectsPlot(id, statistics, together),
        layerscope.histogramPlot(id, file, at), layerscope.lengthPlot(id, file, at)),
      element("section", {}, element("h3", {}, "Contexts"), colouring.legend(), contexts),
      element("section", {}, element("h3", {}, "Token types"), element("div", { class: "pairs" }, types(place, own, vocabulary, colouring))),
      direct.some(Boolean)
        ? element("section", {}, element("h3", {}, "Weights"),
          element("p", {}, "The tokens whose logits its output weights raise or lower most, through the final norm's scale and the unembedding."),
          element("div", { class: "pairs" }, direct))
        : null,
      element("section", {}, element("h3", {}, "Statistics"), statisticsList(statistics)));
  };
}

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
          element("td", {}, address ? element("a", { href: address(ids[i]), title: "Neurons of this layer with this token among their top types" }, token) : token),
          value, counts ? element("td", { class: "number" }, count(counts[i])) : null);
      }), present.length ? null : element("tr", {}, element("td", {}, "none"))));
  };

  const types = (place, file, vocabulary, colouring) => [
    ["top", "Token types with the largest mean"], ["bottom", "Token types with the smallest mean"],
  ].map(([side, title]) => {
    const { model, layer, neuron } = place;
    const others = { view: "table", model, filter: `layer=${layer}`, both: "" };
    const address = side === "top" ? (id) => layerscope.link({ ...others, token: `#${id}` }) : null;
    const [ids, values, counts] = ["", "_mean", "_tokens"].map((part) => row(file, `types_${side}${part}`, neuron));
    return ids ? tokenTable({ title, vocabulary, ids, values, heading: "mean", counts, colouring, address }) : null;
  });

  const logits = (file, neuron, vocabulary) => [
    ["top", "Promoted by its output weights"], ["bottom", "Suppressed by its output weights"],
  ].map(([side, title]) => {
    const [ids, values] = ["", "_value"].map((part) => row(file, `logits_${side}${part}`, neuron));
    return ids ? tokenTable({ title, vocabulary, ids, values, heading: "logit" }) : null;
  });

  const statisticsList = (statistics) =>
    element("dl", { class: "statistics" }, manifest.columns.filter(({ name }) => name in statistics).map(({ name, description }) =>
      element("div", {}, element("dt", {}, columns.get(name).label), element("dd", {}, short(statistics[name])),
        element("dd", { class: "meaning" }, description))));

  /* Where the file says which neuron of another model is most like this one: {model, layer, neuron, r}, else null. */
  layerscope.matchOf = (file, neuron) => {
    const { match_layer: layers, match_neuron: neurons, match_r: r } = file.arrays;
    if (!layers || layers[neuron] < 0 || neurons[neuron] < 0 || !layerscope.models.has(file.facts.matched)) return null;
    return { model: file.facts.matched, layer: layers[neuron], neuron: neurons[neuron], r: r[neuron] };
  };

  const statisticsAt = async ([model, layer, neuron]) =>
    layerscope.statisticsOf(layerscope.models.get(model), await layerscope.layerFile(model, layer), neuron);

  /* The panel of a neuron. If others are `shown` with it, each [model, layer, neuron], it leaves out what a comparison
     does not need. */
  layerscope.neuronPanel = async ([modelName, layer, neuron], shown) => {
    const brief = shown.length > 1;
    const model = layerscope.models.get(modelName);
    const [file, vocabulary] = await Promise.all([layerscope.layerFile(modelName, layer), layerscope.vocabularyOf(model)]);
    const id = `${modelName}-layer-${layer}-neuron-${neuron}`;
    const statistics = layerscope.statisticsOf(model, file, neuron);
    const together = await Promise.all(shown.map(statisticsAt));
    const colouring = layerscope.colouring(row(file, "window_low", neuron)[0], row(file, "window_high", neuron)[0]);
    const contexts = await layerscope.contexts(model, file, neuron, vocabulary, colouring, brief ? ["most"] : null);
    const direct = logits(file, neuron, vocabulary);
    return element("div", { class: "panel" },
      brief ? element("h3", {}, layerscope.nameOf(modelName, layer, neuron)) : null,
      element("div", { class: "figures" }, layerscope.effectsPlot(id, statistics, together),
        layerscope.histogramPlot(id, file, neuron), layerscope.lengthPlot(id, file, neuron)),
      element("section", {}, element("h3", {}, "Contexts"), colouring.legend(), contexts),
      element("section", {}, element("h3", {}, "Token types"), element("div", { class: "pairs" }, types({ model: modelName, layer, neuron }, file, vocabulary, colouring))),
      direct.some(Boolean)
        ? element("section", {}, element("h3", {}, "Weights"),
          element("p", {}, "The tokens whose logits its output weights raise or lower most, through the final norm's scale and the unembedding."),
          element("div", { class: "pairs" }, direct))
        : null,
      element("section", {}, element("h3", {}, "Statistics"), statisticsList(statistics)));
  };
}

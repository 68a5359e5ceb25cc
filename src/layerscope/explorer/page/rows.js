"use strict";
/* Rows of the table: neurons of one or more models, as [model, number of the neuron] in two arrays. */
{
  const { layerOf, exact } = layerscope;

  layerscope.makeRows = (parts) => {
    const total = parts.reduce((sum, { rows }) => sum + rows.length, 0);
    const which = new Uint8Array(total), index = new Uint32Array(total);
    let at = 0;
    parts.forEach(({ rows }, part) => {
      which.fill(part, at, at + rows.length);
      index.set(rows, at);
      at += rows.length;
    });
    return { models: parts.map(({ model }) => model), which, index, order: Uint32Array.from({ length: total }, (_, i) => i) };
  };

  /* Values of a column of each model of the rows; NaN for a model that has none. */
  layerscope.columnOf = ({ models }, name) =>
    Promise.all(models.map((model) =>
      layerscope.has(model, name) ? layerscope.valuesOf(model, name) : new Float32Array(model.count).fill(NaN)));

  /* Order rows by a column; what is not defined comes last, and equal values stay in the order of the neurons. */
  layerscope.sortRows = (rows, values, descending) => {
    const keys = Float32Array.from(rows.which, (part, i) => values[part][rows.index[i]]);
    const all = Uint32Array.from(keys, (_, i) => i);
    const defined = all.filter((i) => !Number.isNaN(keys[i]));
    const undefinedOnes = all.filter((i) => Number.isNaN(keys[i]));
    const sign = descending ? -1 : 1;
    defined.sort((a, b) => (keys[a] < keys[b] ? -sign : keys[a] > keys[b] ? sign : 0));
    rows.order.set(defined);
    rows.order.set(undefinedOnes, defined.length);
  };

  /* Row `at` as shown: model, layer, neuron, and its number among the model's neurons. */
  layerscope.rowAt = ({ models, which, index, order }, at) => {
    const part = which[order[at]], i = index[order[at]];
    const layer = layerOf(models[part], i);
    return { part, model: models[part].name, layer, neuron: i - models[part].starts[layer], i };
  };

  /* Parts of a CSV file of all rows in their order. */
  layerscope.csvOf = (rows, names, values) => {
    const parts = [`${["model", "layer", "neuron", ...names].join(",")}\n`];
    let lines = [];
    for (let at = 0; at < rows.order.length; at++) {
      const { part, model, layer, neuron, i } = layerscope.rowAt(rows, at);
      lines.push([model, layer, neuron, ...values.map((column) => exact(column[part][i]))].join(","));
      if (lines.length === 5000) {
        parts.push(`${lines.join("\n")}\n`);
        lines = [];
      }
    }
    parts.push(lines.map((line) => `${line}\n`).join(""));
    return parts;
  };
}

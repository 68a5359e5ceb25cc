"use strict";
/* What the manifest says of models and columns, and the values of columns. */
{
  const manifest = JSON.parse(document.getElementById("manifest").textContent);
  const EACH = manifest.neurons_per_file;
  const FIRST = ["r", "r_given_all", "r_types", "dip_tokens", "kurtosis", "mean", "std"];
  const PLACES = [
    { name: "layer", label: "layer", unit: "", description: "Number of the layer, from 0." },
    { name: "neuron", label: "neuron", unit: "", description: "Number of the neuron within its layer, from 0." },
  ];
  const rank = ({ name }) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  const statistics = [...manifest.columns].sort((a, b) => rank(a) - rank(b));
  const described = new Map([...PLACES, ...statistics].map((column) => [column.name, column]));
  const models = new Map(manifest.models.map((model) => [model.name, model]));
  const places = new Map(); // model and column → values of layer or neuron

  for (const model of models.values()) {
    let neurons = 0;
    model.starts = model.neurons.map((count) => (neurons += count) - count);
    model.count = neurons;
    model.columns ??= manifest.columns.map(({ name }) => name);
  }

  const placeValues = (model, column) => {
    const key = `${model.name} ${column}`;
    if (!places.has(key)) {
      const values = new Float32Array(model.count);
      model.neurons.forEach((count, layer) => {
        for (let i = 0; i < count; i++) values[model.starts[layer] + i] = column === "layer" ? layer : i;
      });
      places.set(key, values);
    }
    return places.get(key);
  };

  Object.assign(layerscope, {
    manifest,
    models,
    // Those that the reader is likeliest to look for first.
    statistics,
    columns: described,
    has: (model, column) => ["model", "layer", "neuron"].includes(column) || model.columns.includes(column),
    layerOf: (model, index) => {
      let layer = model.starts.length - 1;
      while (model.starts[layer] > index) layer--;
      return layer;
    },
    nameOf: (model, layer, neuron) => `${model} · layer ${layer} · neuron ${neuron}`,
    /* The data file that a neuron is in, and its row there: {file, at}. */
    fileOf: async (model, layer, neuron) => {
      const [number, of] = [layer, Math.floor(neuron / EACH)].map((n) => String(n).padStart(2, "0"));
      return { file: await layerscope.load(`${model}/layer_${number}/${of}`), at: neuron % EACH };
    },
    /* Label of a column with its unit, as an axis has it. */
    labelOf: (name) => {
      const { label, unit } = described.get(name);
      return unit && !label.includes(unit) ? `${label} (${unit})` : label;
    },
    /* Values of a column of all neurons of a model, layer after layer. */
    valuesOf: async (model, column) => {
      if (column === "layer" || column === "neuron") return placeValues(model, column);
      if (!layerscope.has(model, column)) throw new layerscope.Problem(`${model.name} has no column ${column}.`);
      return (await layerscope.load(`${model.name}/columns/${column}`)).arrays.values;
    },
  });
}

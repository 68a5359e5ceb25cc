"use strict";
/* Data files: each is a script, as a page opened from disk may load no other kind of file. It calls `receive`. */
{
  const { element, Problem } = layerscope;
  // Decoded, 4,096 neurons of a layer take 9 MB, and a chunk of tokens half a megabyte.
  const LIMITS = [[/\/layer_\d+\/\d+$/, 8], [/^tokens\//, 64]];
  const TYPES = {
    uint8: Uint8Array, int8: Int8Array, uint16: Uint16Array, int16: Int16Array,
    uint32: Uint32Array, int32: Int32Array, float32: Float32Array, float64: Float64Array,
  };
  const waiting = new Map(); // name → what takes the text
  const kept = new Map(); // name → promise of the file, the one used last at the end

  layerscope.receive = (name, text) => waiting.get(name)?.(text);

  const ask = (name) => {
    const address = `data/${name.split("/").map(encodeURIComponent).join("/")}.js`;
    const script = element("script", { src: address });
    return new Promise((resolve, reject) => {
      waiting.set(name, resolve);
      script.onload = () => reject(new Problem(`${address} is damaged: copy the folder of this page anew, or run the workflow again.`));
      script.onerror = () => reject(new Problem(`${address} is missing: keep the folder data beside this page, whole.`));
      document.head.append(script);
    }).finally(() => {
      waiting.delete(name);
      script.remove();
    });
  };

  const bytesOf = (text) => {
    if (Uint8Array.fromBase64) return Uint8Array.fromBase64(text);
    const binary = atob(text);
    const bytes = new Uint8Array(binary.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = binary.charCodeAt(i);
    return bytes;
  };

  const decode = async (text) => {
    const stream = new Blob([bytesOf(text)]).stream().pipeThrough(new DecompressionStream("gzip"));
    const buffer = await new Response(stream).arrayBuffer();
    const length = new DataView(buffer).getUint32(0, true);
    const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
    const file = { facts: header.facts, arrays: {}, shapes: {} };
    for (const { name, dtype, shape, offset } of header.arrays) {
      const size = shape.reduce((product, n) => product * n, 1);
      file.arrays[name] = new TYPES[dtype](buffer, 4 + length + offset, size);
      file.shapes[name] = shape;
    }
    return file;
  };

  const read = async (name) => {
    if (!window.DecompressionStream) throw new Problem("This browser is too old to read the data files: use one of 2023 or later.");
    const text = await ask(name);
    try {
      return await decode(text);
    } catch {
      throw new Problem(`data/${name}.js is damaged: copy the folder of this page anew, or run the workflow again.`);
    }
  };

  /* The file of that name: {facts, arrays: name → typed array, shapes: name → shape}. */
  layerscope.load = (name) => {
    const file = kept.get(name) ?? read(name);
    kept.delete(name);
    kept.set(name, file);
    file.catch(() => kept.delete(name)); // asked for again, it is tried again
    for (const [kind, limit] of LIMITS) {
      const names = [...kept.keys()].filter((other) => kind.test(other));
      for (const oldest of names.slice(0, Math.max(0, names.length - limit))) kept.delete(oldest);
    }
    return file;
  };

  /* Row `index` of an array whose first axis is neurons; undefined if the file has no such array. */
  layerscope.row = (file, name, index) => {
    const array = file.arrays[name];
    if (!array) return undefined;
    const width = array.length / file.shapes[name][0];
    return array.subarray(index * width, (index + 1) * width);
  };
}

"use strict";
(async () => {
  const VIRIDIS = "44015448186a472d7b4240863b528b33638d2c728e26828e21918c1fa08828ae803fbc735ec96284d44baddc30d8e219fde725";
  const PUOR = "7f3b08a04d07be630adb7d12ef9e3cfdbd6efed7a2fbe9cff6f6f7e3e4efcecde4b6b0d4988dbe7967a65d379044176f2d004b";
  const $ = (id) => document.getElementById(id);
  const { image, blocks, start } = JSON.parse($("data").textContent);
  const notice = $("notice");

  // ---- The data: zlib streams in base64, opened by the browser itself.

  const unpack = async (text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    return new Response(stream).arrayBuffer();
  };
  const openPicture = (uri) => new Promise((done, fail) => {
    const picture = new Image();
    picture.onload = () => done(picture);
    picture.onerror = () => fail(new Error("the picture cannot be shown"));
    picture.src = uri;
  });
  try {
    if (typeof DecompressionStream === "undefined") {
      throw new Error("this browser is too old: Chrome 80, Firefox 113, Safari 16.4 or later can");
    }
    image.pictures = await Promise.all(image.frames.map(openPicture));
    await Promise.all(blocks.flatMap((block) => block.views.map(async (view) => {
      view.codes = new Uint8Array(await unpack(view.codes));
      for (const name of ["peaks", "sums", "spreads"]) {
        view[name] = new Float32Array(await unpack(view[name]));
      }
    })));
  } catch (error) {
    notice.textContent = `The maps could not be unpacked: ${error.message}.`;
    return;
  }
  notice.textContent = "";
  $("main").hidden = false;

  // ---- Positions. All blocks share one, on the finest grid; each takes the nearest it holds.

  const volume = ([frames, rows, columns]) => frames * rows * columns;
  const grid = blocks.map((block) => block.size).reduce((a, b) => (volume(b) > volume(a) ? b : a));
  const clamp = (value, low, high) => Math.min(high, Math.max(low, value));
  const onGrid = (place) => place.map((value, axis) => clamp(value, 0, grid[axis] - 1));
  const rescale = (place, from, to) =>
    place.map((value, axis) => Math.min(to[axis] - 1, Math.floor(((value + 0.5) / from[axis]) * to[axis])));
  const nearest = (list, value) =>
    list.reduce((best, _, at) => (Math.abs(list[at] - value) < Math.abs(list[best] - value) ? at : best), 0);

  const state = { pinned: onGrid(start), hover: null, shown: null, chosen: blocks.map(() => 0), pointed: null };
  const current = () => state.hover ?? state.pinned;
  const heldAt = (block) => {
    const wanted = rescale(current(), grid, block.size);
    const at = wanted.map((value, axis) => nearest(block.held[axis], value));
    const [, rows, columns] = block.held.map((axis) => axis.length);
    return {
      row: (at[0] * rows + at[1]) * columns + at[2],
      place: at.map((index, axis) => block.held[axis][index]),
    };
  };
  const shareOf = (code, isSigned) => {  // of the row's greatest; codes are square roots
    const root = isSigned ? (code - 127) / 127 : code / 255;
    return root * Math.abs(root);
  };
  const weightsAt = (block) => {
    const view = block.views[state.chosen[blocks.indexOf(block)]];
    const count = volume(block.sources);
    const { row, place } = heldAt(block);
    const codes = view.codes.subarray(row * count, (row + 1) * count);
    const peak = view.peaks[row];
    const weight = (index) => shareOf(codes[index], view.signed) * peak;
    let strongest = 0;
    const middle = view.signed ? 127 : 0;
    for (let index = 1; index < count; index += 1) {
      if (Math.abs(codes[index] - middle) > Math.abs(codes[strongest] - middle)) strongest = index;
    }
    return { view, codes, peak, weight, strongest, place, sum: view.sums[row], spread: view.spreads[row], count };
  };
  const placeOf = (index, [, rows, columns]) =>
    [Math.floor(index / (rows * columns)), Math.floor(index / columns) % rows, index % columns];
  const indexOf = ([frame, row, column], [, rows, columns]) => (frame * rows + row) * columns + column;
  const isClip = grid[0] > 1;
  const words = ([frame, row, column]) =>
    `${isClip ? `frame ${frame + 1}, ` : ""}row ${row + 1}, column ${column + 1}`;
  const short = (value) => {
    if (!Number.isFinite(value)) return "–";
    const size = Math.abs(value);
    if (size < 1e-12) return "0";
    if (size !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(1).replace("-", "−");
    return Number(value.toPrecision(3)).toString().replace("-", "−");
  };

  // ---- Panes: a picture or a map, its frames side by side as tiles.

  const GAP = 0.02;
  const tiles = (frames) => {
    const across = Math.ceil(Math.sqrt(frames));
    return { across, down: Math.ceil(frames / across) };
  };
  const tileBox = (frame, frames) => {
    const { across, down } = tiles(frames);
    const [gapX, gapY] = [across > 1 ? GAP : 0, down > 1 ? GAP : 0];
    const width = (1 - gapX * (across - 1)) / across;
    const height = (1 - gapY * (down - 1)) / down;
    return { x: (frame % across) * (width + gapX), y: Math.floor(frame / across) * (height + gapY), width, height };
  };
  const spot = (place, size) => {  // middle of a position, as fractions of its pane
    const box = tileBox(place[0], size[0]);
    return [box.x + ((place[2] + 0.5) / size[2]) * box.width, box.y + ((place[1] + 0.5) / size[1]) * box.height];
  };
  const placeUnder = (event, pane, size) => {
    const frame = pane.getBoundingClientRect();
    const [x, y] = [(event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height];
    for (let number = 0; number < size[0]; number += 1) {
      const box = tileBox(number, size[0]);
      const [u, v] = [(x - box.x) / box.width, (y - box.y) / box.height];
      if (u >= 0 && u < 1 && v >= 0 && v < 1) {
        return [number, Math.floor(v * size[1]), Math.floor(u * size[2])];
      }
    }
    return null;
  };
  const ratio = (() => {
    // A line of positions is drawn as a band that a finger can hit.
    const tall = Math.max(image.height / image.width, 0.12);
    const { across, down } = tiles(grid[0]);
    return (tall * down) / across;
  })();
  const fit = (canvas) => {
    const width = Math.max(1, Math.round(canvas.clientWidth * (window.devicePixelRatio || 1)));
    const height = Math.max(1, Math.round(width * ratio));
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    canvas.style.aspectRatio = `${width} / ${height}`;
    const pen = canvas.getContext("2d");
    pen.clearRect(0, 0, width, height);
    return pen;
  };
  const eachTile = (pen, frames, draw) => {
    for (let number = 0; number < frames; number += 1) {
      const box = tileBox(number, frames);
      const [left, top] = [Math.round(box.x * pen.canvas.width), Math.round(box.y * pen.canvas.height)];
      const right = Math.round((box.x + box.width) * pen.canvas.width);
      const bottom = Math.round((box.y + box.height) * pen.canvas.height);
      draw(number, left, top, right - left, bottom - top);
    }
  };
  const grey = image.pictures.map((picture) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: image.width, height: image.height });
    const pen = canvas.getContext("2d");
    pen.drawImage(picture, 0, 0);
    const pixels = pen.getImageData(0, 0, image.width, image.height);
    for (let at = 0; at < pixels.data.length; at += 4) {
      const [red, green, blue] = pixels.data.subarray(at, at + 3);
      pixels.data.fill(0.2126 * red + 0.7152 * green + 0.0722 * blue, at, at + 3);
    }
    pen.putImageData(pixels, 0, 0);
    return canvas;
  });
  const drawFrames = (pen, pictures, frames) => {
    pen.imageSmoothingEnabled = Math.max(image.width, image.height) > 160;
    eachTile(pen, frames, (number, ...box) => {
      // A map may have fewer frames than the clip: the one in the middle of its stretch stands in.
      const shown = Math.min(pictures.length - 1, Math.floor(((number + 0.5) / frames) * pictures.length));
      pen.drawImage(pictures[shown], ...box);
    });
  };

  const ramp = (anchors) => {
    const stops = anchors.match(/../g).map((pair) => parseInt(pair, 16));
    const count = stops.length / 3 - 1;
    return Uint8ClampedArray.from({ length: 256 * 3 }, (_, at) => {
      const along = (Math.floor(at / 3) / 255) * count;
      const from = Math.min(count - 1, Math.floor(along));
      const part = along - from;
      return stops[3 * from + (at % 3)] * (1 - part) + stops[3 * (from + 1) + (at % 3)] * part;
    });
  };
  const [SEQUENTIAL, DIVERGING] = [ramp(VIRIDIS), ramp(PUOR)];
  const colourIndex = (share, isSigned) => {  // share in 0 .. 1, or −1 .. 1
    const size = $("lift").checked ? Math.sqrt(Math.abs(share)) : Math.abs(share);
    return Math.round(isSigned ? 127.5 + 127.5 * Math.sign(share) * size : 255 * size);
  };
  const paint = (pixels, at, index, colours) => {
    for (let part = 0; part < 3; part += 1) pixels.data[4 * at + part] = colours[3 * index + part];
    pixels.data[4 * at + 3] = 255;
  };
  const sheet = document.createElement("canvas");
  const drawMap = (card, found) => {
    const { block } = card;
    const [frames, rows, columns] = block.sources;
    const pen = fit(card.canvas);
    drawFrames(pen, grey, frames);
    pen.globalAlpha = $("blend").value / 100;
    pen.imageSmoothingEnabled = false;
    Object.assign(sheet, { width: columns, height: rows });
    const colours = found.view.signed ? DIVERGING : SEQUENTIAL;
    eachTile(pen, frames, (number, ...box) => {
      const pixels = sheet.getContext("2d").createImageData(columns, rows);
      for (let at = 0; at < rows * columns; at += 1) {
        const code = found.codes[number * rows * columns + at];
        paint(pixels, at, colourIndex(shareOf(code, found.view.signed), found.view.signed), colours);
      }
      sheet.getContext("2d").putImageData(pixels, 0, 0);
      pen.drawImage(sheet, ...box);
    });
    pen.globalAlpha = 1;
    drawScale(card, found);
  };
  const drawScale = (card, found) => {
    const { isSigned } = { isSigned: found.view.signed };
    card.bar.width = 256;
    card.bar.height = 1;
    const pen = card.bar.getContext("2d");
    const pixels = pen.createImageData(256, 1);
    for (let at = 0; at < 256; at += 1) {
      const share = isSigned ? (at - 127.5) / 127.5 : at / 255;
      paint(pixels, at, colourIndex(share, isSigned), isSigned ? DIVERGING : SEQUENTIAL);
    }
    pen.putImageData(pixels, 0, 0);
    card.low.textContent = isSigned ? short(-found.peak) : "0";
    card.high.textContent = short(found.peak);
  };
  const put = (mark, [x, y]) => Object.assign(mark.style, { left: `${100 * x}%`, top: `${100 * y}%` });

  // ---- Charts.

  const [WIDE, TALL, LEFT, BOTTOM] = [320, 150, 62, 24];  // on the left fits −0.00247
  const element = (name, attributes = {}, text) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    if (text !== undefined) made.textContent = text;
    return made;
  };
  const chart = (label, x, y, xName) => {
    const svg = element("svg", { viewBox: `0 0 ${WIDE} ${TALL + 12}`, role: "img", "aria-label": label });
    const across = (value) => LEFT + ((value - x.low) / (x.high - x.low)) * (WIDE - LEFT - 6);
    const up = (value) => TALL - BOTTOM - ((value - y.low) / (y.high - y.low)) * (TALL - BOTTOM - 8);
    svg.append(element("path", { class: "axis", d: `M${LEFT} 4V${TALL - BOTTOM}H${WIDE - 4}` }));
    for (const tick of x.ticks) {
      svg.append(element("path", { class: "axis", d: `M${across(tick)} ${TALL - BOTTOM}v4` }));
      svg.append(element("text", { x: across(tick), y: TALL - BOTTOM + 16, "text-anchor": "middle" }, short(tick)));
    }
    for (const tick of y.ticks) {
      svg.append(element("path", { class: "axis", d: `M${LEFT} ${up(tick)}h-4` }));
      svg.append(element("text", { x: LEFT - 7, y: up(tick) + 4, "text-anchor": "end" }, (y.name ?? short)(tick)));
    }
    svg.append(element("text", { x: WIDE - 4, y: TALL + 8, "text-anchor": "end" }, xName));
    return { svg, across, up };
  };
  const steps = (high, most = 4) => {
    const raw = high / most;
    const unit = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((part) => part * unit).find((size) => size >= raw * 0.999);
    return Array.from({ length: Math.floor(high / step + 1e-9) + 1 }, (_, at) => Number((at * step).toPrecision(6)));
  };
  const wholeLine = (low, high) => {
    const step = Math.max(0.5, steps(high - low)[1]);  // of weights of either sign it may be long
    const first = Math.ceil(low / step), last = Math.floor(high / step + 1e-9);
    return { low, high, ticks: Array.from({ length: last - first + 1 }, (_, at) => Number(((first + at) * step).toPrecision(6))) };
  };
  const total = (counts) => counts.reduce((sum, count) => sum + count, 0);
  const many = (count) => count.toLocaleString("en");
  const range = (values) => [Math.min(0, ...values), Math.max(2, ...values)];

  const histogram = (numbers) => {
    const BINS = 48;
    const [low, high] = range(numbers.re);
    const counts = new Array(BINS).fill(0);
    numbers.re.forEach((value, at) => {
      counts[Math.min(BINS - 1, Math.floor(((value - low) / (high - low)) * BINS))] += numbers.count[at];
    });
    const most = Math.max(...counts);
    const lift = (count) => Math.log10(1 + count);  // one eigenvalue must show beside a thousand
    const ticks = [0, 1, 10, 100, 1000, 10000, 100000].filter((tick) => tick <= most);
    const label = `${many(total(numbers.count))} eigenvalues, all real, ${short(numbers.re[0].toFixed(4) * 1)} … ${short(numbers.max)}`;
    const { svg, across, up } = chart(label, wholeLine(low, high),
      { low: 0, high: lift(most) * 1.08, ticks: ticks.map(lift), name: (tick) => String(Math.round(10 ** tick - 1)) },
      "λ of L = I − A; bars: how many");
    counts.forEach((count, bin) => {
      if (!count) return;
      const [from, to] = [bin, bin + 1].map((edge) => across(low + (edge / BINS) * (high - low)));
      svg.append(element("rect", {
        class: "bar-of", x: from + 0.5, width: to - from - 1, y: up(lift(count)), height: up(0) - up(lift(count)), "data-count": count,
      }));
    });
    svg.append(element("path", { class: "bound", d: `M${across(2)} 4V${TALL - BOTTOM}` }));
    const rug = [...new Set(numbers.re.map((value) => across(value).toFixed(1)))];
    svg.append(element("path", { class: "rug", d: rug.map((at) => `M${at} ${TALL - BOTTOM}v-5`).join("") }));
    return { svg, text: `${label}. The bound is 2 (dotted).` };
  };
  const plane = (numbers) => {
    const [low, high] = range(numbers.re);
    const most = Math.max(...numbers.im.map(Math.abs));
    const tall = 1.25 * most;
    const notReal = total(numbers.count.filter((_, at) => numbers.im[at] !== 0));
    const label = `${many(notReal)} of ${many(total(numbers.count))} eigenvalues are not real; largest |Im λ| = ${short(most)}, ` +
      `Re λ from ${short(Math.min(...numbers.re).toFixed(4) * 1)} to ${short(numbers.max)}`;
    const { svg, across, up } = chart(label, wholeLine(low, high), { low: -tall, high: tall, ticks: [-most, 0, most] },
      "Re λ; up: Im λ");
    svg.append(element("path", { class: "bound", d: `M${LEFT} ${up(0)}H${WIDE - 4}` }));
    numbers.re.forEach((value, at) => {
      const [x, y] = [across(value), up(numbers.im[at])];
      svg.append(numbers.im[at] === 0
        ? element("circle", { class: "real", cx: x, cy: y, r: 2.5, "data-count": numbers.count[at] })
        : element("path", {
          class: "unreal", d: `M${x} ${y - 3.5}l3.2 5.6h-6.4z`, "data-im": numbers.im[at], "data-count": numbers.count[at],
        }));
    });
    return { svg, text: `${label}. Triangles are not real, circles are.` };
  };
  const gains = (curve, spectrum) => {
    const most = Math.max(...curve.greatest, 1e-12);
    const at = curve.lambdas;
    const { svg, across, up } = chart("Gain of the learned filter at each λ", wholeLine(0, at[at.length - 1]),
      { low: 0, high: most * 1.08, ticks: steps(most, 3) }, "λ");
    const line = (values) => values.map((value, index) => `${index ? "L" : "M"}${across(at[index]).toFixed(1)} ${up(value).toFixed(1)}`).join("");
    const back = curve.low.map((value, index) => `L${across(at[index]).toFixed(1)} ${up(value).toFixed(1)}`).reverse().join("");
    svg.append(element("path", { class: "band", d: `${line(curve.high)}${back}z` }));
    svg.append(element("path", { class: "greatest", d: line(curve.greatest) }));
    svg.append(element("path", { class: "median", d: line(curve.median) }));
    if (spectrum.re && !spectrum.im.length) {
      const rug = [...new Set(spectrum.re.filter((value) => value >= 0).map((value) => across(value).toFixed(1)))];
      svg.append(element("path", { class: "rug", d: rug.map((x) => `M${x} ${TALL - BOTTOM}v-5`).join("") }));
    }
    return svg;
  };

  // ---- Cards.

  const tag = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };
  const cards = blocks.map((block, number) => {
    const id = `block-${number}`;
    const canvas = tag("canvas", { role: "img" });
    const [ring, peak] = [tag("span", { class: "ring" }), tag("span", { class: "peak" })];
    const pane = tag("div", { class: "pane map" }, canvas, ring, peak);
    const [low, high] = [tag("span"), tag("span")];
    const bar = tag("canvas", { "aria-hidden": "true" });
    const facts = Object.fromEntries(["self", "strongest", "sum", "spread", "pointed"].map((name) => [name, tag("dd", { class: name })]));
    const list = tag("dl", {},
      tag("dt", {}, "gives itself"), facts.self, tag("dt", {}, "strongest"), facts.strongest,
      tag("dt", {}, "row sum"), facts.sum, tag("dt", {}, "spreads over"), facts.spread,
      tag("dt", {}, "pointed at"), facts.pointed);
    const charts = tag("div", { class: "charts" });
    const rest = tag("div", { class: "rest" });
    if (block.views.length > 1) {
      const select = tag("select", { "aria-label": `View of ${block.name}` });
      block.views.forEach((view, at) => select.append(new Option(view.label, at)));
      select.addEventListener("change", () => {
        state.chosen[number] = Number(select.value);
        drawCharts(card);
        draw();
      });
      rest.append(tag("label", {}, select));
    }
    rest.append(list, charts);
    const top = tag("div", { class: "top" },
      tag("h2", { id }, block.name), tag("p", { class: "about", title: block.about }, block.about), pane,
      tag("div", { class: "scale" }, low, bar, high));
    const root = tag("article", { class: "card", "aria-labelledby": id, "data-block": block.name }, top, rest);
    $("stage").append(root);
    const card = { block, number, root, canvas, ring, peak, pane, low, high, bar, facts, charts };
    return card;
  });
  const drawCharts = (card) => {
    const spectrum = card.block.views[state.chosen[card.number]].spectrum;
    const parts = [tag("h3", {}, `Eigenvalues${spectrum.of && ` of ${spectrum.of}`}`)];
    if (spectrum.note) {
      parts.push(tag("p", { class: "spectrum" }, spectrum.note));
    } else {
      const { svg, text } = spectrum.im.length ? plane(spectrum) : histogram(spectrum);
      svg.classList.add("eigenvalues");
      parts.push(svg, tag("p", { class: "spectrum" }, text));
    }
    card.block.responses.forEach((curve, unit) => {
      const which = card.block.responses.length > 1 ? ` of unit ${unit + 1}` : "";
      const svg = gains(curve, spectrum);
      svg.classList.add("response");
      parts.push(tag("h3", {}, `Learned filter${which}: gain at λ`), svg);
    });
    parts.push(tag("p", {}, card.block.responses.length
      ? "Singular values of g(λ): greatest (line), median (dashed), middle half (band)."
      : "This block has no graph filter."));
    card.charts.replaceChildren(...parts);
  };

  // ---- Everything that follows the position.

  const pick = $("pick");
  const draw = () => {
    const here = current();
    const pen = fit(pick.querySelector("canvas"));
    drawFrames(pen, image.pictures, grid[0]);
    put(pick.querySelector(".ring"), spot(here, grid));
    $("from").textContent = state.hover
      ? `Looking from ${words(here)}; click to stay.`
      : `Looking from ${words(here)} of ${isClip ? `${grid[0]} × ` : ""}${grid[1]} × ${grid[2]}.`;
    ["frame", "row", "column"].forEach((name, axis) => {
      if (document.activeElement !== $(name)) $(name).value = state.pinned[axis] + 1;
    });
    for (const card of cards) if (!card.root.hidden) drawCard(card);
  };
  const drawCard = (card) => {
    const { block, facts } = card;
    const found = weightsAt(block);
    drawMap(card, found);
    put(card.ring, spot(found.place, block.size));
    const strongest = placeOf(found.strongest, block.sources);
    put(card.peak, spot(strongest, block.sources));
    card.peak.hidden = found.peak === 0;
    const isSame = block.size.join() === block.sources.join();
    facts.self.textContent = isSame ? short(found.weight(indexOf(found.place, block.size))) : "keys are pooled";
    facts.strongest.textContent = `${short(found.weight(found.strongest))} at ${strongest.slice(isClip ? 0 : 1).map((at) => at + 1).join(", ")}`;
    facts.sum.textContent = short(found.sum);
    facts.spread.textContent = Number.isNaN(found.spread)
      ? "signed weights" : `≈ ${found.spread < 1000 ? short(found.spread) : many(Math.round(found.spread))} of ${many(found.count)}`;
    const at = state.pointed?.card === card ? state.pointed.place : null;
    facts.pointed.textContent = at
      ? `${short(found.weight(indexOf(at, block.sources)))} at ${at.slice(isClip ? 0 : 1).map((value) => value + 1).join(", ")}` : "–";
    card.canvas.setAttribute("aria-label",
      `Map of ${block.name} from ${words(found.place)}: strongest ${facts.strongest.textContent}, adds up to ${facts.sum.textContent}`);
  };
  let timer = 0;
  const announce = () => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const seen = cards.filter((card) => !card.root.hidden)
        .map((card) => `${card.block.name}: strongest ${card.facts.strongest.textContent}`);
      $("live").textContent = `${words(state.pinned)}. ${seen.join(". ")}.`;
    }, 250);
  };
  const remember = () => {
    const parts = [`at=${state.pinned.map((value) => value + 1).join(",")}`];
    if (state.shown !== null) parts.push(`block=${state.shown + 1}`);
    try { history.replaceState(null, "", `#${parts.join("&")}`); } catch { /* a sandboxed frame */ }
  };
  const choose = (place) => {
    state.pinned = onGrid(place);
    state.hover = null;
    draw();
    announce();
    remember();
  };
  const show = (number) => {
    state.shown = number;
    $("stage").className = `stage ${number === null ? "all" : "one"}`;
    $("stage").style.setProperty("--across", Math.min(4, number === null ? cards.length + 1 : 3));
    cards.forEach((card) => { card.root.hidden = number !== null && card.number !== number; });
    document.querySelector(`#blocks input[value="${number ?? "all"}"]`).checked = true;
    draw();
    remember();
  };

  // ---- Pointer, touch, keyboard.

  const follow = (pane, size, onHover) => {
    const toGrid = (place) => rescale(place, size, grid);
    pane.addEventListener("pointermove", (event) => {
      const place = placeUnder(event, pane, size);
      if (!place) return;
      if (event.pointerType === "mouse" && !event.buttons) onHover(place);
      else choose(toGrid(place));
    });
    pane.addEventListener("pointerdown", (event) => {
      const place = placeUnder(event, pane, size);
      if (place && event.button === 0) choose(toGrid(place));
    });
    pane.addEventListener("pointerleave", () => onHover(null));
  };
  follow(pick, grid, (place) => { state.hover = place; draw(); });
  for (const card of cards) {
    follow(card.pane, card.block.sources, (place) => {
      state.pointed = place && { card, place };
      drawCard(card);
    });
  }
  pick.addEventListener("keydown", (event) => {
    const [frame, row, column] = state.pinned;
    const far = event.shiftKey ? 5 : 1;
    const whole = event.ctrlKey || event.metaKey;
    const moves = {
      ArrowLeft: [frame, row, column - far], ArrowRight: [frame, row, column + far],
      ArrowUp: [frame, row - far, column], ArrowDown: [frame, row + far, column],
      Home: whole ? [frame, 0, column] : [frame, row, 0],
      End: whole ? [frame, grid[1] - 1, column] : [frame, row, grid[2] - 1],
      ...(isClip && { PageUp: [frame - 1, row, column], PageDown: [frame + 1, row, column] }),
    };
    if (!(event.key in moves) || event.altKey) return;
    event.preventDefault();
    choose(moves[event.key]);
  });
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.matches('input[type="number"], select');
    if (isTyping || event.ctrlKey || event.metaKey || event.altKey || !/^[0-9]$/.test(event.key)) return;
    const number = Number(event.key) - 1;
    if (number < 0) show(null);
    else if (number < cards.length) show(number);
  });
  ["frame", "row", "column"].forEach((name, axis) => {
    $(name).max = grid[axis];
    $(name).addEventListener("input", () => {
      const value = Number($(name).value);
      if (!Number.isInteger(value) || value < 1 || value > grid[axis]) return;
      choose(state.pinned.map((old, at) => (at === axis ? value - 1 : old)));
    });
    $(name).addEventListener("blur", draw);
  });
  const radio = (value, text, key) => {
    const input = tag("input", { type: "radio", name: "block", value });
    input.addEventListener("change", () => show(value === "all" ? null : Number(value)));
    return tag("label", {}, input, text, ...(key ? [tag("kbd", { "aria-hidden": "true" }, key)] : []));
  };
  $("blocks").append(radio("all", "All", "0"));
  blocks.forEach((block, number) => $("blocks").append(radio(number, block.name, number < 9 ? String(number + 1) : "")));
  $("blocks").hidden = blocks.length === 1;
  $("blend").addEventListener("input", draw);
  $("lift").addEventListener("change", draw);
  document.body.classList.toggle("clip", isClip);
  if (image.energy) $("picture-title").textContent = "Energy of the feature map";

  const suffix = (number) => `${number}${["th", "st", "nd", "rd"][number] ?? "th"}`;
  const held = blocks.map((block) => {
    const count = block.held.reduce((all, axis) => all * axis.length, 1);
    const every = block.stride > 1
      ? `every ${suffix(block.stride)} row and column of positions (${count.toLocaleString("en")} of ` +
        `${volume(block.size).toLocaleString("en")}; the nearest one is shown)`
      : `all ${volume(block.size).toLocaleString("en")} positions`;
    return `${block.name}: ${every}, ${volume(block.sources).toLocaleString("en")} weights each`;
  });
  const weight = new Blob([document.documentElement.outerHTML]).size;
  $("facts").textContent = `Held in this page: ${held.join("; ")}. Weights have 8 bits and are off by at most 0.4 % of their ` +
    `row's greatest (0.8 % where signed), faint ones by less. The page weighs ${(weight / 1e6).toFixed(1)} MB and loads nothing.`;

  // ---- Begin, where the address says so.

  const asked = new URLSearchParams(location.hash.slice(1));
  const at = (asked.get("at") ?? "").split(",").map(Number);
  if (at.length === 3 && at.every(Number.isInteger)) state.pinned = onGrid(at.map((value) => value - 1));
  cards.forEach(drawCharts);
  const block = Number(asked.get("block")) - 1;
  show(block >= 0 && block < cards.length ? block : cards.length > 1 ? null : 0);
  new ResizeObserver(() => draw()).observe($("stage"));

  // For the browser's console: explorer.row("snl") is the row on show, as numbers.
  window.explorer = {
    choose: (row, column, frame = 1) => choose([frame - 1, row - 1, column - 1]),
    row: (name) => {
      const found = weightsAt(blocks.find((one) => one.name === name));
      return Array.from({ length: found.count }, (_, index) => found.weight(index));
    },
    position: () => current().map((value) => value + 1),
  };
})();

// Small parts of a panel: made from a description, told when they change.

export function element(name, attributes = {}, children = []) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) if (value !== undefined) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// The function, but for the time in which something in root is pressed, when it waits: a press ends on what it began on.
export function betweenPresses(root, draw) {
  let isPressed = false, isDue = false;
  for (const kind of ["pointerdown", "keydown"]) root.addEventListener(kind, () => { isPressed = true; }, true);
  for (const kind of ["pointerup", "pointercancel", "dragend", "keyup", "blur"]) {
    window.addEventListener(kind, () => setTimeout(() => {  // after its click
      isPressed = false;
      if (isDue) { isDue = false; draw(); }
    }));
  }
  return () => { if (isPressed) isDue = true; else draw(); };
}

let ids = 0;
function labelled(name, text, ...controls) {
  const id = `knob-${(ids += 1)}`;
  controls[0].id = id;
  return element("div", { class: "knob", title: text }, [element("label", { for: id }, [name.replace("_", " ")]), ...controls]);
}

// A key with a range. Twice pressed it goes back to its default.
export function slider({ name, kind, low, high, default: usual, text }, value, change) {
  const step = kind === "i" ? 1 : (high - low) / 100;
  const range = element("input", { type: "range", min: low, max: high, step, value: value ?? usual ?? (low + high) / 2, "data-key": name });
  const shown = element("output", {}, []);
  const isSaid = () => value !== undefined || usual !== undefined;
  const show = () => { shown.textContent = isSaid() ? format(Number(range.value), kind) : "–"; };
  range.addEventListener("input", () => { value = Number(range.value); show(); change(kind === "i" ? Math.round(value) : value); });
  range.addEventListener("dblclick", () => {
    value = undefined; range.value = usual ?? (low + high) / 2; show(); change(undefined);
  });
  show();
  return labelled(name, text, range, shown);
}

export function toggle({ name, text, default: usual }, value, change) {
  const box = element("input", { type: "checkbox", "data-key": name });
  box.checked = Boolean(value ?? usual);
  box.addEventListener("change", () => change(box.checked ? 1 : usual === undefined ? undefined : 0));
  return labelled(name, text, box);
}

export function words({ name, text }, value, change) {
  const field = element("input", { type: "text", value: value ?? "", "data-key": name, placeholder: hint(name), autocomplete: "off", spellcheck: "false" });
  field.addEventListener("change", () => change(field.value.trim() || undefined));
  return labelled(name, text, field);
}

export function choices(name, options, value, change) {
  const select = element("select", { "data-key": name }, options.map(([key, label]) => element("option", { value: key }, [label])));
  select.value = value;
  select.addEventListener("change", () => change(select.value));
  return labelled(name, name, select);
}

function hint(name) { return { chords: "C Am F G", key: "Am", scale: "dorian", parts: "lead,bass,drums", instrument: "closed_hat" }[name] || ""; }

function format(value, kind) { return kind === "i" ? String(Math.round(value)) : value.toFixed(2); }

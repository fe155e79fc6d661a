// What was asked and answered, as OSC lines that can be copied into a patch or a terminal.

import { element } from "./elements.js";

const MOST_LINES = 300, MOST_VALUES = 40;

export class Log {
  constructor({ root, daemon, say }) {
    Object.assign(this, { root, say });
    daemon.addEventListener("line", ({ detail }) => this.add(detail));
  }

  add({ message, isAsked }) {
    const text = line(message);
    const row = element("button", { type: "button", class: isAsked ? "asked" : message[0] === "/vae/fail" ? "failed" : "answered", title: "copy" }, [text]);
    row.addEventListener("click", async () => {
      try { await navigator.clipboard.writeText(text); this.say("copied"); } catch { this.say("the browser lets nothing be copied here", true); }
    });
    const isAtEnd = this.root.scrollTop + this.root.clientHeight > this.root.scrollHeight - 30;
    this.root.append(row);
    while (this.root.children.length > MOST_LINES) this.root.firstChild.remove();
    if (isAtEnd) this.root.scrollTop = this.root.scrollHeight;
  }
}

// A message as oscsend and a Pd or Max message box take it.
export function line([address, ...values]) {
  const shown = values.slice(0, MOST_VALUES).map((value) =>
    typeof value === "number" ? Number(value.toFixed(4)) : /[\s"]|^$/.test(value) ? JSON.stringify(value) : value);
  return [address, ...shown, ...(values.length > MOST_VALUES ? ["…"] : [])].join(" ");
}

// A world for a script that has ES5 and nothing more, as Max's js object has.
"use strict";

const vm = require("vm");

const ES5 = {
  Object: ["create", "defineProperties", "defineProperty", "freeze", "getOwnPropertyDescriptor", "getOwnPropertyNames",
    "getPrototypeOf", "isExtensible", "isFrozen", "isSealed", "keys", "preventExtensions", "seal"],
  Array: ["isArray"],
  Number: ["MAX_VALUE", "MIN_VALUE", "NEGATIVE_INFINITY", "NaN", "POSITIVE_INFINITY"],
  String: ["fromCharCode"],
  Date: ["UTC", "now", "parse"],
  Math: ["E", "LN10", "LN2", "LOG10E", "LOG2E", "PI", "SQRT1_2", "SQRT2", "abs", "acos", "asin", "atan", "atan2",
    "ceil", "cos", "exp", "floor", "log", "max", "min", "pow", "random", "round", "sin", "sqrt", "tan"],
};
const ES5_METHODS = {
  Array: ["concat", "every", "filter", "forEach", "indexOf", "join", "lastIndexOf", "map", "pop", "push", "reduce",
    "reduceRight", "reverse", "shift", "slice", "some", "sort", "splice", "toLocaleString", "toString", "unshift"],
  String: ["charAt", "charCodeAt", "concat", "indexOf", "lastIndexOf", "localeCompare", "match", "replace", "search",
    "slice", "split", "substr", "substring", "toLocaleLowerCase", "toLocaleUpperCase", "toLowerCase", "toString",
    "toUpperCase", "trim", "valueOf"],
};
const ES5_GLOBALS = ["Object", "Function", "Array", "String", "Boolean", "Number", "Date", "RegExp", "Error",
  "EvalError", "RangeError", "ReferenceError", "SyntaxError", "TypeError", "URIError", "Math", "JSON", "NaN",
  "Infinity", "undefined", "eval", "parseInt", "parseFloat", "isNaN", "isFinite", "decodeURI", "decodeURIComponent",
  "encodeURI", "encodeURIComponent"];

function es5_world() {
  const context = vm.createContext({});
  vm.runInContext(`(${strip_to_es5})`, context)(ES5, ES5_METHODS, ES5_GLOBALS);
  return context;
}

/* global globalThis */
function strip_to_es5(statics, methods, globals) { // runs inside the script's own world, and saws at its own branch
  const wipe = (object, keep) => {
    for (const name of Object.getOwnPropertyNames(object)) {
      const stays = keep.indexOf(name) >= 0 || ["length", "name", "prototype", "constructor"].indexOf(name) >= 0;
      if (!stays) delete object[name];
    }
  };
  const { keys } = Object;
  const all = globalThis;
  for (const name of keys(methods)) wipe(all[name].prototype, methods[name]);
  for (const name of keys(statics)) if (name !== "Object") wipe(all[name], statics[name]);
  for (const name of Object.getOwnPropertyNames(all)) if (globals.indexOf(name) < 0) delete all[name];
  wipe(Object, statics.Object);
}

module.exports = { es5_world };

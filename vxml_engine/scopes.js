// The scope chain of VoiceXML 2.0 section 5.1.2, and what the engine may ask of it.
//
// A scope is an object without prototype that holds itself under its own names, so that
// `document.x` works.  Evaluators are closures nested through `with`, so that a function keeps the
// scope it was defined in.  Every entry point answers a text: "!" an error, "?" undefined,
// "=" a value follows.
(function (G) {
'use strict';
var indirectEval = eval, ownNames = Object.getOwnPropertyNames, stringify = JSON.stringify;
var join = Function.prototype.call.bind(Array.prototype.join);
var parse = JSON.parse, has = Object.prototype.hasOwnProperty, clock = performance;
// Letters beyond ASCII are all taken: Unicode's own classes cost 0.6 ms to compile.
var identifier = /^[A-Za-z_$\u00aa-\uffff][\w$\u00aa-\uffff]*$/;
var target = /^([A-Za-z_$\u00aa-\uffff][\w$\u00aa-\uffff]*)(?:\.([A-Za-z_$\u00aa-\uffff][\w$\u00aa-\uffff]*))?/;
var loops = [], chain = [], suspended = [], held = Object.create(null), spent = 0, base, known;
var dom, domSource;

function top() { return chain[chain.length - 1]; }

// An assignment to an undeclared name creates a global in sloppy code: it is taken away again and
// reported, as VoiceXML 2.0 section 5.1.1 asks for undeclared variables.
function checkGlobals() {
  var names = ownNames(G), stray;
  if (names.length === base) return;
  stray = names.filter(function (name) { return !known.has(name); });
  stray.forEach(function (name) { delete G[name]; });
  if (stray.length) throw new ReferenceError("'" + stray[0] + "' is not declared");
}

function limited(text) {
  if (text.length > valueCharsMax) {
    throw new RangeError("the value has " + text.length + " characters, at most " +
                         valueCharsMax + " are taken");
  }
  return text;
}
var valueCharsMax = 65536;

// A long text put together with `+` is a rope of its parts, which cannot leave the context.
function marked(mark, text) { return join([mark, text], ""); }

function answer(value) {
  var text;
  if (value === undefined) return "?";
  text = stringify(value);
  return text === undefined ? "?" : marked("=", limited(text));
}

function guarded(entry) {
  return function (a, b, c) {
    var start = clock.now(), result;
    try {
      result = entry(a, b, c);
      checkGlobals();
      return result;
    } catch (error) {
      try { checkGlobals(); } catch (_) { /* the first error is the one to tell */ }
      if (error === null) return "!out of memory";
      try { return marked("!", String(error)); } catch (_) { return "!an object that has no text"; }
    } finally {
      spent += clock.now() - start;
    }
  };
}

function link(object, names) {
  var outer = chain.length ? top().evaluate : indirectEval, i, runner = "";
  for (i = 0; i <= chain.length; i++) runner += "with(arguments[0][" + i + "])";
  chain.push({
    object: object,
    names: names,
    evaluate: outer("(function(){with(arguments[0])return function(){return eval(arguments[0])}})")(object),
    // Its variable environment lies outside the scopes: `var x = 1` assigns the scope's own x.
    run: indirectEval("(function(){arguments[2](function(){return eval(arguments[0])});" + runner +
                      "return eval(arguments[1])})")
  });
}

function push(names) {
  var object = Object.create(null);
  names = names ? names.split(" ") : [];
  names.forEach(function (name) { Object.defineProperty(object, name, {value: object}); });
  link(object, names);
}

function refuse() { throw new TypeError("session variables cannot be changed"); }

function readOnly(object) {
  Object.keys(object).forEach(function (key) {
    if (object[key] !== null && typeof object[key] === "object") object[key] = readOnly(object[key]);
  });
  return new Proxy(object, {
    set: refuse, defineProperty: refuse, deleteProperty: refuse, setPrototypeOf: refuse
  });
}

function pushSession(json) {
  var object = Object.assign(Object.create(null), parse(json)), proxy;
  Object.defineProperty(object, "session", {get: function () { return proxy; }});
  proxy = readOnly(object);
  link(proxy, ["session"]);
}

function evaluate(source) { return top().evaluate("(" + source + "\n)"); }

function named(scope) {
  var i;
  for (i = chain.length - 1; i >= 0; i--) if (chain[i].names.includes(scope)) return chain[i].object;
  return undefined;
}

function declaredIn(name) {
  var i;
  for (i = chain.length - 1; i >= 0; i--) if (name in chain[i].object) return true;
  return false;
}

function checkName(name) {
  if (!identifier.test(name)) throw new SyntaxError("'" + name + "' is not a variable's name");
}

function requireDeclared(path) {
  var match = target.exec(path), scope;
  if (!match) throw new SyntaxError("'" + path + "' is not a variable's name");
  scope = named(match[1]);
  if (scope !== undefined && match[2] !== undefined) {
    if (!(match[2] in scope)) throw new ReferenceError("'" + match[0] + "' is not declared");
  } else if (scope !== undefined || !declaredIn(match[1])) {
    throw new ReferenceError("'" + match[1] + "' is not declared");
  }
}

// Names a program declares: a global evaluation instantiates its declarations, then throws.
function declarations(source) {
  var before = new Set(ownNames(G)), found = [], sentinel = {};
  Object.defineProperty(G, "sentinel$", {configurable: true, value: sentinel});
  try {
    indirectEval("throw sentinel$;\n" + source);
  } catch (error) {
    if (error !== sentinel) throw error;
  } finally {
    delete G.sentinel$;
    ownNames(G).forEach(function (name) {
      if (!before.has(name)) { found.push([name, typeof G[name] === "function"]); delete G[name]; }
    });
  }
  return found;
}

function script(source) {
  var scope = top(), functions = [], look;
  declarations(source).forEach(function (declaration) {
    var name = declaration[0];
    if (declaration[1]) functions.push(name);
    else if (!has.call(scope.object, name)) scope.object[name] = undefined;
  });
  Object.defineProperty(G, "hoist$", {configurable: true, value: function () {
    functions.forEach(function (name) { scope.object[name] = look(name); });
  }});
  try {
    scope.run(chain.map(function (link) { return link.object; }), "hoist$();" + source,
              function (lookup) { look = lookup; });
  } finally {
    delete G.hoist$;
  }
  return "?";
}

function declare(name, source) {
  var scope = top().object, value;
  checkName(name);
  if (typeof source === "string") { value = evaluate(source); checkGlobals(); scope[name] = value; }
  else if (!has.call(scope, name)) scope[name] = undefined;
  return "?";
}

Object.defineProperty(G, "vxml$", {value: {
  push: guarded(function (names) { push(names); return "?"; }),
  pushSession: guarded(function (json) { pushSession(json); return "?"; }),
  cut: guarded(function (length) { chain.length = length; return "?"; }),
  suspend: guarded(function () { suspended.push(chain); chain = [chain[0]]; return "?"; }),
  resume: guarded(function () { chain = suspended.pop(); return "?"; }),
  evaluate: guarded(function (source) { return answer(evaluate(source)); }),
  apart: guarded(function (source) { return answer(indirectEval("(" + source + "\n)")); }),
  text: guarded(function (source) { return marked("=", limited(String(evaluate(source)))); }),
  test: guarded(function (source) { return evaluate(source) ? "=1" : "=0"; }),
  script: guarded(script),
  declare: guarded(declare),
  assign: guarded(function (path, source, lenient) {
    var value = evaluate(source);
    checkGlobals();
    if (lenient && identifier.test(path) && !declaredIn(path)) {
      (named("dialog") || named("document") || top().object)[path] = undefined;
    }
    requireDeclared(path);
    Object.defineProperty(G, "assigned$", {configurable: true, value: value});
    try { top().evaluate("(" + path + ")=assigned$"); } finally { delete G.assigned$; }
    return "?";
  }),
  set: guarded(function (name, json) {
    var scope, i;
    for (i = chain.length - 1; i >= 0; i--) {
      scope = chain[i].object;
      if (name in scope) break;
    }
    if (i < 0) scope = top().object;
    scope[name] = json === null ? undefined : parse(json);
    return "?";
  }),
  setInnermost: guarded(function (name, json) { top().object[name] = parse(json); return "?"; }),
  // Without results, only the mark is told (VoiceXML 2.1 section 4).
  setLastResult: guarded(function (json, mark) {
    var scope = named("application"), result = parse(json) || scope["lastresult$"];
    if (json !== "null" && result.length) Object.assign(result, result[0]);
    scope["lastresult$"] = Object.assign(result, parse(mark));
    return "?";
  }),
  // <data>: a JSON value, or the nodes of an XML document.
  data: guarded(function (name, json, xml) {
    var value = parse(json);
    if (xml) {
      if (!dom) {
        dom = indirectEval(domSource);
        Object.keys(dom.names).forEach(function (key) {
          Object.defineProperty(G, key, {configurable: true, value: dom.names[key]});
        });
        known = new Set(ownNames(G));
        base = known.size;
      }
      value = dom.make(value);
    }
    checkName(name);
    top().object[name] = value;
    return "?";
  }),
  dom: guarded(function (source) { domSource = source; return "?"; }),
  unfilled: guarded(function (name) { return evaluate(name) === undefined ? "=1" : "=0"; }),
  declared: guarded(function (name) { requireDeclared(name); return "?"; }),
  // <foreach>: a copy is gone through, so that the array may change meanwhile.
  loop: guarded(function (source) {
    var array = evaluate(source);
    if (!Array.isArray(array)) throw new TypeError("'" + source + "' is not an array");
    loops.push(array.slice());
    return "=" + array.length;
  }),
  loopItem: guarded(function (name, index) {
    var value = loops[loops.length - 1][index];
    if (!declaredIn(name)) { checkName(name); top().object[name] = undefined; }
    Object.defineProperty(G, "assigned$", {configurable: true, value: value});
    try { top().evaluate("(" + name + ")=assigned$"); } finally { delete G.assigned$; }
    return "?";
  }),
  loopEnd: guarded(function () { loops.pop(); return "?"; }),
  hold: guarded(function (name, source) { checkName(name); held[name] = evaluate(source); return "?"; }),
  take: guarded(function (name) { top().object[name] = held[name]; delete held[name]; return "?"; }),
  drop: guarded(function () { held = Object.create(null); return "?"; }),
  takeAll: guarded(function (name) {
    var object = {};
    Object.keys(held).forEach(function (key) { object[key] = held[key]; });
    held = Object.create(null);
    named("dialog")[name] = object;
    return "?";
  }),
  compiles: guarded(function (source) { indirectEval("(function(){return (" + source + "\n)})"); return "?"; }),
  compilesScript: guarded(function (source) { indirectEval("(function(){" + source + "\n})"); return "?"; }),
  limitValue: guarded(function (chars) { valueCharsMax = chars; return "?"; }),
  spent: function () { var ms = spent; spent = 0; return ms; }
}});
known = new Set(ownNames(G));
base = known.size;
})(this);

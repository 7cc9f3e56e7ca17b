// What makes a session run again as it did: Date tells the time it is given, and Math.random
// follows a seed (a 32-bit mixer: no secrets are to be made with it).
(function (G, seed) {
'use strict';
var Real = G.Date, nowMs = 0, state = seed | 0;
Real.now = function now() { return nowMs; };
G.Date = new Proxy(Real, {
  construct: function (_, given, made) {
    return Reflect.construct(Real, given.length ? given : [nowMs], made);
  },
  apply: function () { return new Real(nowMs).toString(); }
});
Real.prototype.constructor = G.Date;
G.performance = {now: Real.now};
G.Math.random = function random() {
  var mixed;
  state = (state + 0x9e3779b9) | 0;
  mixed = Math.imul(state ^ (state >>> 16), 0x21f0aaad);
  mixed = Math.imul(mixed ^ (mixed >>> 15), 0x735a2d97);
  return ((mixed ^ (mixed >>> 15)) >>> 0) / 4294967296;
};
return function (ms) { nowMs = ms; };
})

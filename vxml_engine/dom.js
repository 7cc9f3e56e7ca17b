// The document of <data> (VoiceXML 2.1 section 5 and appendix D): DOM level 2 core, read only.
//
// A node comes as an array: [type, name, namespace, value, attributes, children].
(function () {
'use strict';
var readOnly = 7, hierarchy = {
  INDEX_SIZE_ERR: 1, DOMSTRING_SIZE_ERR: 2, HIERARCHY_REQUEST_ERR: 3, WRONG_DOCUMENT_ERR: 4,
  INVALID_CHARACTER_ERR: 5, NO_DATA_ALLOWED_ERR: 6, NO_MODIFICATION_ALLOWED_ERR: readOnly,
  NOT_FOUND_ERR: 8, NOT_SUPPORTED_ERR: 9, INUSE_ATTRIBUTE_ERR: 10, INVALID_STATE_ERR: 11,
  SYNTAX_ERR: 12, INVALID_MODIFICATION_ERR: 13, NAMESPACE_ERR: 14, INVALID_ACCESS_ERR: 15
};
var types = {
  ELEMENT_NODE: 1, ATTRIBUTE_NODE: 2, TEXT_NODE: 3, CDATA_SECTION_NODE: 4, ENTITY_REFERENCE_NODE: 5,
  ENTITY_NODE: 6, PROCESSING_INSTRUCTION_NODE: 7, COMMENT_NODE: 8, DOCUMENT_NODE: 9,
  DOCUMENT_TYPE_NODE: 10, DOCUMENT_FRAGMENT_NODE: 11, NOTATION_NODE: 12
};
var made = new WeakMap(); // node -> what it was made of; nothing of it can be changed from outside

function DOMException(code, message) { this.code = code; this.message = message; }
DOMException.prototype = Object.create(Error.prototype);
constants(DOMException, hierarchy);
DOMException.prototype.name = "DOMException";

function constants(constructor, table) {
  Object.keys(table).forEach(function (name) {
    Object.defineProperty(constructor, name, {value: table[name], enumerable: true});
    Object.defineProperty(constructor.prototype, name, {value: table[name], enumerable: true});
  });
}

function fail(code, message) { throw new DOMException(code, message); }

function attribute(prototype, name, getter) {
  Object.defineProperty(prototype, name, {
    enumerable: true, get: getter,
    set: function () { fail(readOnly, name + " cannot be changed: the document is read only"); }
  });
}

function refuse(prototype, names) {
  names.split(" ").forEach(function (name) {
    prototype[name] = function () { fail(readOnly, name + ": the document is read only"); };
  });
}

function local(name) { return name.slice(name.indexOf(":") + 1); }

function NodeList(nodes) { list(this, nodes); }
function NamedNodeMap(nodes) { list(this, nodes); }
function list(object, nodes) {
  made.set(object, nodes);
  nodes.forEach(function (node, index) {
    Object.defineProperty(object, index, {value: node, enumerable: true});
  });
  Object.freeze(object);
}
[NodeList, NamedNodeMap].forEach(function (constructor) {
  attribute(constructor.prototype, "length", function () { return made.get(this).length; });
  constructor.prototype.item = function (index) { return made.get(this)[index] || null; };
});
NamedNodeMap.prototype.getNamedItem = function (name) {
  return made.get(this).find(function (node) { return node.nodeName === String(name); }) || null;
};
NamedNodeMap.prototype.getNamedItemNS = function (namespace, name) {
  return made.get(this).find(function (node) {
    return node.namespaceURI === (namespace || null) && node.localName === String(name);
  }) || null;
};
refuse(NamedNodeMap.prototype, "setNamedItem removeNamedItem setNamedItemNS removeNamedItemNS");

function Node() {}
constants(Node, types);
attribute(Node.prototype, "nodeType", function () { return made.get(this).type; });
attribute(Node.prototype, "nodeName", function () { return made.get(this).name; });
attribute(Node.prototype, "nodeValue", function () { return made.get(this).value; });
attribute(Node.prototype, "namespaceURI", function () { return made.get(this).namespace; });
attribute(Node.prototype, "localName", function () {
  var node = made.get(this);
  return node.type === 1 || node.type === 2 ? local(node.name) : null;
});
attribute(Node.prototype, "prefix", function () {
  var name = made.get(this).name, at = name.indexOf(":");
  return (made.get(this).type === 1 || made.get(this).type === 2) && at > 0 ? name.slice(0, at) : null;
});
attribute(Node.prototype, "parentNode", function () {
  return made.get(this).type === 2 ? null : made.get(this).parent;
});
attribute(Node.prototype, "ownerDocument", function () {
  return made.get(this).type === 9 ? null : made.get(this).document;
});
attribute(Node.prototype, "childNodes", function () { return made.get(this).list; });
attribute(Node.prototype, "attributes", function () { return made.get(this).attributes; });
attribute(Node.prototype, "firstChild", function () { return made.get(this).children[0] || null; });
attribute(Node.prototype, "lastChild", function () {
  var children = made.get(this).children;
  return children[children.length - 1] || null;
});
attribute(Node.prototype, "previousSibling", function () { return sibling(this, -1); });
attribute(Node.prototype, "nextSibling", function () { return sibling(this, 1); });
Node.prototype.hasChildNodes = function () { return made.get(this).children.length > 0; };
Node.prototype.hasAttributes = function () {
  var attributes = made.get(this).attributes;
  return attributes !== null && attributes.length > 0;
};
Node.prototype.isSupported = function (feature) { return /^(core|xml)$/i.test(feature); };
Node.prototype.toString = function () { return this.nodeValue === null ? "[object Node]" : this.nodeValue; };
refuse(Node.prototype, "insertBefore replaceChild removeChild appendChild cloneNode normalize");

function sibling(node, step) {
  var at = made.get(node);
  return at.parent === null || at.type === 2 ? null : made.get(at.parent).children[at.index + step] || null;
}

function kind(base) {
  function Kind() {}
  Kind.prototype = Object.create(base.prototype);
  return Kind;
}
var Document = kind(Node), Element = kind(Node), Attr = kind(Node), CharacterData = kind(Node);
var Text = kind(CharacterData), Comment = kind(CharacterData), ProcessingInstruction = kind(Node);
var constructors = {1: Element, 2: Attr, 3: Text, 7: ProcessingInstruction, 8: Comment, 9: Document};

attribute(CharacterData.prototype, "data", function () { return made.get(this).value; });
attribute(CharacterData.prototype, "length", function () { return made.get(this).value.length; });
CharacterData.prototype.substringData = function (offset, count) {
  var text = made.get(this).value;
  if (offset < 0 || count < 0 || offset > text.length) fail(1, "no such part of the text");
  return text.substr(offset, count);
};
refuse(CharacterData.prototype, "appendData insertData deleteData replaceData splitText");
attribute(ProcessingInstruction.prototype, "target", function () { return made.get(this).name; });
attribute(ProcessingInstruction.prototype, "data", function () { return made.get(this).value; });
attribute(Attr.prototype, "name", function () { return made.get(this).name; });
attribute(Attr.prototype, "value", function () { return made.get(this).value; });
attribute(Attr.prototype, "specified", function () { return true; });
attribute(Attr.prototype, "ownerElement", function () { return made.get(this).parent; });

function descendants(node, test) {
  var found = [], open = made.get(node).children.slice().reverse(), next;
  while (open.length) {
    next = open.pop();
    if (made.get(next).type !== 1) continue;
    if (test(next)) found.push(next);
    Array.prototype.push.apply(open, made.get(next).children.slice().reverse());
  }
  return found;
}
[Document, Element].forEach(function (constructor) {
  constructor.prototype.getElementsByTagName = function (name) {
    return new NodeList(descendants(this, function (node) { return name === "*" || node.nodeName === name; }));
  };
  constructor.prototype.getElementsByTagNameNS = function (namespace, name) {
    return new NodeList(descendants(this, function (node) {
      return (namespace === "*" || node.namespaceURI === (namespace || null)) &&
             (name === "*" || node.localName === name);
    }));
  };
});
attribute(Document.prototype, "documentElement", function () {
  return made.get(this).children.find(function (node) { return node.nodeType === 1; });
});
attribute(Document.prototype, "doctype", function () { return null; });
attribute(Document.prototype, "implementation", function () {
  return {hasFeature: Node.prototype.isSupported};
});
Document.prototype.getElementById = function (id) {
  return descendants(this, function (node) { return node.getAttribute("xml:id") === id; })[0] || null;
};
refuse(Document.prototype, "createElement createDocumentFragment createTextNode createComment " +
  "createCDATASection createProcessingInstruction createAttribute createEntityReference importNode " +
  "createElementNS createAttributeNS");

attribute(Element.prototype, "tagName", function () { return made.get(this).name; });
Element.prototype.getAttributeNode = function (name) { return this.attributes.getNamedItem(name); };
Element.prototype.getAttributeNodeNS = function (namespace, name) {
  return this.attributes.getNamedItemNS(namespace, name);
};
Element.prototype.getAttribute = function (name) {
  var found = this.getAttributeNode(name);
  return found === null ? "" : found.value;
};
Element.prototype.getAttributeNS = function (namespace, name) {
  var found = this.getAttributeNodeNS(namespace, name);
  return found === null ? "" : found.value;
};
Element.prototype.hasAttribute = function (name) { return this.getAttributeNode(name) !== null; };
Element.prototype.hasAttributeNS = function (namespace, name) {
  return this.getAttributeNodeNS(namespace, name) !== null;
};
refuse(Element.prototype, "setAttribute removeAttribute setAttributeNode removeAttributeNode " +
  "setAttributeNS removeAttributeNS setAttributeNodeNS");

function make(source, parent, index, document) {
  var node = new constructors[source[0]](), whole = document || node, parts;
  parts = {
    type: source[0], name: source[1], namespace: source[2], value: source[3],
    parent: parent, index: index, document: whole, attributes: null
  };
  made.set(node, parts);
  if (source[0] === 1) {
    parts.attributes = new NamedNodeMap(source[4].map(function (one) {
      return make([2, one[0], one[1], one[2], [], []], node, 0, whole);
    }));
  }
  parts.children = source[5].map(function (child, at) { return make(child, node, at, whole); });
  parts.list = new NodeList(parts.children);
  return Object.freeze(node);
}

return {
  make: function (source) { return make(source, null, 0, null); },
  names: {DOMException: DOMException, Node: Node}
};
})()

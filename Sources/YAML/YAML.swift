/// Reads configuration files in YAML: one document of scalars, sequences and mappings, and nothing that grows.
package enum YAML {
  /// The largest document that is accepted, in bytes.
  package static let maximumByteCount = 1 << 20
  /// How deep sequences and mappings may stand in each other.
  package static let maximumDepth = 32

  /// The value of the document in `bytes`, or nil if it has none (nothing but blanks and comments).
  /// - Throws: ``YAMLFailure`` `.malformed` for what is no YAML or no text; `.unsupported` for anchors, aliases, tags,
  ///   keys that are no scalars and a second document; `.duplicateKey`; `.tooLarge` beyond the two limits.
  /// - Complexity: O(bytes.count)
  package static func parse(_ bytes: [UInt8]) throws(YAMLFailure) -> YAMLNode? {
    guard bytes.count <= maximumByteCount else {
      throw YAMLFailure(
        .tooLarge, at: YAMLPosition(line: 1, column: 1),
        "the document has \(bytes.count) bytes, more than the \(maximumByteCount) that are accepted")
    }
    return try YAMLEvents.reading(bytes) { (events: inout YAMLEvents) throws(YAMLFailure) in
      try document(&events)
    }
  }

  private static func document(_ events: inout YAMLEvents) throws(YAMLFailure) -> YAMLNode? {
    var root: YAMLNode?
    var hasDocument = false
    while true {
      let event = try events.next()
      switch event.kind {
      case .streamStart, .documentEnd: continue
      case .streamEnd: return root
      case .documentStart:
        guard !hasDocument else {
          throw YAMLFailure(.unsupported, at: event.position, "a second document begins here; expected only one")
        }
        hasDocument = true
      default: root = try node(event, depth: 0, &events)
      }
      // A document that is opened and has no value is empty too.
      if case .scalar(let scalar) = root, scalar.text.isEmpty, !scalar.isQuoted { root = nil }
    }
  }

  /// The value that begins with `event`, inside `depth` sequences and mappings.
  private static func node(
    _ event: YAMLEvents.Event, depth: Int, _ events: inout YAMLEvents
  ) throws(YAMLFailure) -> YAMLNode {
    try requirePlain(event)
    switch event.kind {
    case .scalar(let text, let isQuoted):
      return .scalar(YAMLScalar(text, isQuoted: isQuoted, at: event.position))
    case .sequenceStart:
      try requireDepth(depth, event)
      var items: [YAMLNode] = []
      var next = try events.next()
      while next.kind != .sequenceEnd {
        items.append(try node(next, depth: depth + 1, &events))
        next = try events.next()
      }
      return .sequence(items, at: event.position)
    case .mappingStart:
      try requireDepth(depth, event)
      return .mapping(try pairs(depth: depth + 1, &events), at: event.position)
    default:
      throw YAMLFailure(.malformed, at: event.position, "expected a value")
    }
  }

  /// The pairs up to the end of a mapping that has begun.
  private static func pairs(depth: Int, _ events: inout YAMLEvents) throws(YAMLFailure) -> [YAMLPair] {
    var pairs: [YAMLPair] = []
    var lines: [String: Int] = [:]
    while true {
      let event = try events.next()
      if event.kind == .mappingEnd { return pairs }
      try requirePlain(event)
      guard case .scalar(let text, let isQuoted) = event.kind else {
        throw YAMLFailure(.unsupported, at: event.position, "a list or a mapping as a key; expected a plain text")
      }
      if let line = lines[text] {
        throw YAMLFailure(
          .duplicateKey, at: event.position, "key '\(printable(text))' stands twice, first on line \(line)")
      }
      lines[text] = event.position.line
      let key = YAMLScalar(text, isQuoted: isQuoted, at: event.position)
      pairs.append(YAMLPair(key, try node(try events.next(), depth: depth, &events)))
    }
  }

  private static func requirePlain(_ event: YAMLEvents.Event) throws(YAMLFailure) {
    if event.kind == .alias {
      throw YAMLFailure(.unsupported, at: event.position, "aliases (*name) are not accepted; write the value out")
    }
    guard !event.hasAnchor else {
      throw YAMLFailure(.unsupported, at: event.position, "anchors (&name) are not accepted; write the value out")
    }
    guard !event.hasTag else {
      throw YAMLFailure(.unsupported, at: event.position, "tags (!name) are not accepted; leave the tag out")
    }
  }

  private static func requireDepth(_ depth: Int, _ event: YAMLEvents.Event) throws(YAMLFailure) {
    guard depth < maximumDepth else {
      throw YAMLFailure(.tooLarge, at: event.position, "more than \(maximumDepth) lists and mappings in each other")
    }
  }

  /// For a message: one short line without control characters.
  private static func printable(_ text: String) -> String {
    let scalars = text.unicodeScalars.prefix(80).map { scalar in
      switch scalar.properties.generalCategory {
      case .control, .format, .lineSeparator, .paragraphSeparator: return "\u{FFFD}"
      default: return String(scalar)
      }
    }
    return scalars.joined() + (text.unicodeScalars.count > 80 ? "..." : "")
  }
}

/// A place in a document.
package struct YAMLPosition: Hashable, Sendable {
  /// Counted from 1.
  package let line: Int
  /// Counted from 1, in characters.
  package let column: Int

  /// Makes a position; both numbers count from 1.
  package init(line: Int, column: Int) {
    self.line = line
    self.column = column
  }
}

/// A value in a document, with the place where it begins.
package indirect enum YAMLNode: Hashable, Sendable {
  /// A text; whoever asks for a number or a boolean decides what counts as one.
  case scalar(YAMLScalar)
  case sequence([YAMLNode], at: YAMLPosition)
  /// In the order of the document; no key stands twice.
  case mapping([YAMLPair], at: YAMLPosition)

  /// Where the value begins.
  package var position: YAMLPosition {
    switch self {
    case .scalar(let scalar): scalar.position
    case .sequence(_, let position), .mapping(_, let position): position
    }
  }

  /// What a message calls this kind of value: `text`, `a list` or `a mapping`.
  package var kindDescription: String {
    switch self {
    case .scalar: "text"
    case .sequence: "a list"
    case .mapping: "a mapping"
    }
  }
}

/// A text in a document.
package struct YAMLScalar: Hashable, Sendable {
  /// The text, with quotes and escapes resolved; empty where a value was left out.
  package let text: String
  /// Whether the text is certainly meant as text: in quotes or a block (`|`, `>`), so that `"10"` is no number.
  package let isQuoted: Bool
  package let position: YAMLPosition

  /// Makes a scalar.
  package init(_ text: String, isQuoted: Bool, at position: YAMLPosition) {
    self.text = text
    self.isQuoted = isQuoted
    self.position = position
  }
}

/// A key of a mapping and its value.
package struct YAMLPair: Hashable, Sendable {
  package let key: YAMLScalar
  package let value: YAMLNode

  /// Makes a pair.
  package init(_ key: YAMLScalar, _ value: YAMLNode) {
    self.key = key
    self.value = value
  }
}

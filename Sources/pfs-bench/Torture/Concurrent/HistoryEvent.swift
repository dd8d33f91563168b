/// A version of a name that was stored: its id says which, and its content is made from a number that no other has.
struct StoredVersion: Hashable, Sendable {
  let name: String
  let id: Int
  /// The number that its content is made from; nil where it is not known.
  var content: UInt64?
}

/// What one operation did or saw, at one moment between its call and its return.
///
/// A name is a register that holds a set of versions. A put adds one, a group of puts several at once, a delete takes one
/// out. The newest of a name is that with the highest id.
enum HistoryStep: Hashable, Sendable {
  case added([StoredVersion])
  case removed(Int)
  /// It was there; with the number of the content that came back.
  case present(Int, content: UInt64?)
  case missing(Int)
  /// The newest version of each of these names; nil: there was none.
  case newest([NewestVersion])
  /// All versions of a name.
  case versions(String, [Int])
  /// All versions of all names of the history.
  case all([Int])

  var isRead: Bool {
    switch self {
    case .added, .removed: false
    default: true
    }
  }
}

struct NewestVersion: Hashable, Sendable {
  let name: String
  let id: Int?
}

/// One step of a history: who, when, what.
struct HistoryEvent: Hashable, Sendable {
  let thread: Int
  /// By the monotonic clock, which all processes share.
  var invokedNanoseconds: Int64
  var returnedNanoseconds: Int64
  var step: HistoryStep
  /// Whether it is the second half of an operation, whose first half is the event before it in its thread: it comes after
  /// that one though both have the same call and return.
  var isSecondHalf = false
}

// MARK: As text

/// One line for each event: thread, call, return, what; `+` before the second half of an operation.
///
///     1 100 230 added a=5#1f,b=6#20
///     2 110 200 newest a=5,b=-
///     2 110 240 +removed 5
extension HistoryEvent: CustomStringConvertible {
  var description: String {
    "\(thread) \(invokedNanoseconds) \(returnedNanoseconds) \(isSecondHalf ? "+" : "")\(step)"
  }

  /// Nil for a line that is none.
  init?(parsing line: String) {
    var words = line.split(separator: " ").map(String.init)
    guard words.count >= 4, let thread = Int(words[0]), let invoked = Int64(words[1]), let returned = Int64(words[2])
    else { return nil }
    let isSecondHalf = words[3].hasPrefix("+")
    if isSecondHalf { words[3].removeFirst() }
    guard let step = HistoryStep(parsing: Array(words[3...])) else { return nil }
    self.init(
      thread: thread, invokedNanoseconds: invoked, returnedNanoseconds: returned, step: step,
      isSecondHalf: isSecondHalf)
  }
}

extension HistoryStep: CustomStringConvertible {
  var description: String {
    switch self {
    case .added(let versions):
      "added " + versions.map { "\($0.name)=\($0.id)\(HistoryStep.text($0.content))" }.joined(separator: ",")
    case .removed(let id): "removed \(id)"
    case .present(let id, let content): "present \(id)\(HistoryStep.text(content))"
    case .missing(let id): "missing \(id)"
    case .newest(let versions):
      "newest "
        + versions.map { version in "\(version.name)=\(version.id.map(String.init) ?? "-")" }.joined(separator: ",")
    case .versions(let name, let ids): "versions \(name) \(HistoryStep.text(ids))"
    case .all(let ids): "all \(HistoryStep.text(ids))"
    }
  }

  init?(parsing words: [String]) {
    let rest = words.dropFirst()
    switch words.first {
    case "added":
      let versions = HistoryStep.pairs(rest.first).map { pair in HistoryStep.version(pair) }
      guard !versions.isEmpty, !versions.contains(nil) else { return nil }
      self = .added(versions.compactMap { $0 })
    case "removed":
      guard let id = rest.first.flatMap({ Int($0) }) else { return nil }
      self = .removed(id)
    case "present":
      guard let (id, content) = rest.first.flatMap(HistoryStep.idAndContent) else { return nil }
      self = .present(id, content: content)
    case "missing":
      guard let id = rest.first.flatMap({ Int($0) }) else { return nil }
      self = .missing(id)
    case "newest":
      self = .newest(HistoryStep.pairs(rest.first).map { NewestVersion(name: $0.name, id: Int($0.value)) })
    case "versions":
      guard rest.count == 2, let name = rest.first, let ids = HistoryStep.ids(rest.last) else { return nil }
      self = .versions(name, ids)
    case "all":
      guard let ids = HistoryStep.ids(rest.first) else { return nil }
      self = .all(ids)
    default: return nil
    }
  }

  private static func text(_ content: UInt64?) -> String { content.map { "#" + String($0, radix: 16) } ?? "" }

  private static func text(_ ids: [Int]) -> String {
    ids.isEmpty ? "-" : ids.map(String.init).joined(separator: ",")
  }

  private static func ids(_ word: String?) -> [Int]? {
    guard let word else { return nil }
    if word == "-" { return [] }
    let ids = word.split(separator: ",").map { Int($0) }
    return ids.contains(nil) ? nil : ids.compactMap { $0 }
  }

  private static func pairs(_ word: String?) -> [(name: String, value: String)] {
    (word ?? "").split(separator: ",").compactMap { pair in
      let halves = pair.split(separator: "=", maxSplits: 1)
      return halves.count == 2 ? (String(halves[0]), String(halves[1])) : nil
    }
  }

  private static func version(_ pair: (name: String, value: String)) -> StoredVersion? {
    idAndContent(pair.value).map { StoredVersion(name: pair.name, id: $0.id, content: $0.content) }
  }

  private static func idAndContent(_ word: String) -> (id: Int, content: UInt64?)? {
    let halves = word.split(separator: "#", maxSplits: 1)
    guard let id = halves.first.flatMap({ Int($0) }) else { return nil }
    return (id, halves.count == 2 ? UInt64(halves[1], radix: 16) : nil)
  }
}

import CommandSupport

/// What the next word of a command line may be.
struct CompletionAnswer: Hashable, Sendable {
  /// What is offered; the scripts of the shells know these names.
  enum Kind: String, Hashable, Sendable {
    /// Whole words.
    case words
    /// The one candidate goes on behind it.
    case beginnings
    /// Files in the working directory: the shell knows best.
    case files
    case directories
  }

  struct Candidate: Hashable, Sendable {
    /// What the word is then, as a whole.
    let word: [UInt8]
    /// A few words for people; empty where there is nothing to say.
    let description: String
    /// Whether more may follow within the word.
    var isBeginning = false

    init(_ word: [UInt8], _ description: String = "", isBeginning: Bool = false) {
      self.word = word
      self.description = description
      self.isBeginning = isBeginning
    }

    init(_ word: String, _ description: String = "") { self.init(Array(word.utf8), description) }

    /// The same, of a word that begins with `head`.
    func behind(_ head: [UInt8]) -> Candidate { Candidate(head + word, description, isBeginning: isBeginning) }
  }

  let kind: Kind
  private(set) var candidates: [Candidate] = []

  static let none = CompletionAnswer([])
  static let files = CompletionAnswer(kind: .files)
  static let directories = CompletionAnswer(kind: .directories)

  private init(kind: Kind) { self.kind = kind }

  init(_ candidates: [Candidate]) {
    self.candidates = candidates
    kind = candidates.count == 1 && candidates[0].isBeginning ? .beginnings : .words
  }

  /// The same, of a word that begins with `head`, such as `--codec=`.
  func behind(_ head: [UInt8]) -> CompletionAnswer {
    guard kind != .files, kind != .directories else { return self }
    return CompletionAnswer(candidates.map { $0.behind(head) })
  }

  // MARK: As the shells read it

  /// For bash: what takes the place of `replaced`, the end of `line` that bash counts as the word.
  func bytes(continuing line: TypedLine, replacing replaced: [UInt8]) -> [UInt8] {
    let kept = replaced.dropLast(line.unfinishedByteCount)
    return CompletionAnswer.ended(
      [Array(kind.rawValue.utf8)]
        + candidates.map { kept + line.typing(Array($0.word.dropFirst(line.current.count))) })
  }

  /// For zsh, which quotes by itself and is told only what stands behind `head`.
  func bytesForZsh(head: [UInt8]) -> [UInt8] {
    CompletionAnswer.ended(
      [Array(kind.rawValue.utf8)]
        + candidates.flatMap { candidate in
          let text = Array(candidate.word.dropFirst(head.count))
          return [text, Array(DisplayName.escaped(text).utf8), Array(candidate.description.utf8)]
        })
  }

  /// For fish, which quotes by itself; to it a tab or a newline ends the word, so that such words are left out.
  var bytesForFish: [UInt8] {
    let candidates = candidates.filter { candidate in !candidate.word.contains { $0 == 0x09 || $0 == 0x0A } }
    return CompletionAnswer.ended(
      [Array(kind.rawValue.utf8)]
        + candidates.map { candidate in
          candidate.description.isEmpty ? candidate.word : candidate.word + Array("\t\(candidate.description)".utf8)
        })
  }

  private static func ended(_ texts: [[UInt8]]) -> [UInt8] { texts.flatMap { $0 + [0] } }
}

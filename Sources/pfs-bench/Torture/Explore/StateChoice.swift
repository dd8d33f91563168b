/// Which of the states that a crash may leave: what became of each thing that was not durable.
struct StateChoice: Hashable, Sendable {
  /// Of the versions of a thing.
  enum Pick: Hashable, Sendable {
    /// Nothing of it came to the device.
    case oldest
    case newest
    /// 0 is the oldest.
    case version(Int)
  }

  /// A page that was being written: the sectors in `mask` are of the version that is picked, the others of an older one.
  struct Tear: Hashable, Sendable {
    let thing: Int
    let olderVersion: Int
    let mask: UInt8
  }

  /// Which of the models of directories; see ``DirectoryHistory``.
  enum Model: String, Sendable {
    case strict = "s"
    case ordered = "o"
  }

  let model: Model
  var picks: [Pick]
  var tears: [Tear] = []

  init(_ model: Model, _ picks: [Pick], tears: [Tear] = []) {
    self.model = model
    self.picks = picks
    self.tears = tears
  }

  /// As `--replay` takes it: the model, then for each thing `-` for the oldest and `+` for the newest version or the number
  /// of one, with a count where several follow each other; behind each `~` a torn page.
  var text: String {
    var text = model.rawValue
    var index = 0
    while index < picks.count {
      let end = picks[index...].firstIndex { $0 != picks[index] } ?? picks.count
      switch picks[index] {
      case .oldest: text += "-"
      case .newest: text += "+"
      case .version(let number): text += "v\(number)x"
      }
      if end - index > 1 { text += "\(end - index)" }
      index = end
    }
    for tear in tears { text += "~\(tear.thing).\(tear.olderVersion).\(tear.mask)" }
    return text
  }

  /// - Throws: `.usage`.
  init(parsing text: String) throws(BenchFailure) {
    let wrong = BenchFailure(.usage, "'\(text)' is not a state as a violation gives it")
    let pieces = text.split(separator: "~", omittingEmptySubsequences: false)
    guard let first = pieces.first, let model = Model(rawValue: String(first.prefix(1))) else { throw wrong }
    var picks: [Pick] = []
    var rest = first.dropFirst()
    func takeNumber() -> Int? {
      let digits = rest.prefix { $0.isASCII && $0.isNumber }
      rest = rest.dropFirst(digits.count)
      return Int(digits)
    }
    while let character = rest.popFirst() {
      let pick: Pick
      switch character {
      case "-": pick = .oldest
      case "+": pick = .newest
      case "v":
        guard let number = takeNumber(), rest.popFirst() == "x" else { throw wrong }
        pick = .version(number)
      default: throw wrong
      }
      let count = takeNumber() ?? 1
      guard (1...1_000_000).contains(count) else { throw wrong }
      picks += [Pick](repeating: pick, count: count)
    }
    var tears: [Tear] = []
    for piece in pieces.dropFirst() {
      let numbers = piece.split(separator: ".").map { Int($0) }
      guard numbers.count == 3, let thing = numbers[0], let older = numbers[1],
        let mask = numbers[2].flatMap(UInt8.init(exactly:))
      else { throw wrong }
      tears.append(Tear(thing: thing, olderVersion: older, mask: mask))
    }
    self.init(model, picks, tears: tears)
  }
}

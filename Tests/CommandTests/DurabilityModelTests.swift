import Testing

@testable import pfs_bench

/// What the explorer says that a loss of power may leave: no more than a file system can leave, and no less.
@Suite("Durability model") struct DurabilityModelTests {
  private static let root: UInt64 = 1
  private static let file: UInt64 = 2
  private static let page = PageBytes.byteCount
  private static let everything = Int.max

  /// A file `f` of `count` pages of the letter `a`, durable, with its name.
  private static func begin(pages count: Int) -> [CallLog.Event] {
    [
      .object(root, isDirectory: true, existed: true, byteCount: 0, path: []),
      .object(file, isDirectory: false, existed: false, byteCount: 0, path: Array("f".utf8)),
      .link(directory: root, name: Array("f".utf8), file),
      write("a", page: 0, count: count), .mark("written"),
    ] + sync(file) + directorySync(root)
  }

  private static func write(_ letter: Character, page number: Int, count: Int = 1, isDurable: Bool = false)
    -> CallLog.Event
  {
    .write(
      file, offset: number * page,
      bytes: [UInt8](repeating: letter.asciiValue ?? 0, count: count * page), isDurable: isDurable)
  }

  private static func sync(_ object: UInt64, _ pages: Range<Int>? = nil) -> [CallLog.Event] {
    let extent = CallLog.Extent(
      object: object, offset: (pages?.lowerBound ?? 0) * page, byteCount: pages.map { $0.count * page } ?? everything)
    return [.syncBegin(extent), .syncEnd(extent)]
  }

  private static func directorySync(_ object: UInt64) -> [CallLog.Event] {
    [.directorySyncBegin(object), .directorySyncEnd(object)]
  }

  /// Each state that may be left behind the last of `events`: names, and for each page of a file its first byte, `.` for
  /// zeros, `|` in the middle of a page that is torn.
  private static func states(
    _ events: [CallLog.Event], _ model: StateChoice.Model = .strict, torn: Bool = false
  ) throws -> Set<String> {
    let point = try #require(try DurabilityModel.crashPoints(of: CallLog(events: events)).points.last)
    var sampler = StateSampler(point, SplitMix64(seed: 1))
    var found: Set<String> = []
    let samples = sampler.samples()
    // Where no names are pending both models leave the same, and only one is asked.
    let asked = samples.contains { $0.choice.model == model } ? model : .ordered
    for sample in samples where sample.choice.model == asked && (torn || sample.kind != .torn) {
      #expect(try StateChoice(parsing: sample.choice.text) == sample.choice)
      found.insert(text(try point.state(sample.choice)))
    }
    return found
  }

  private static func text(_ state: CrashState) -> String {
    let names = state.directories.map { String(decoding: $0, as: UTF8.self) + "/" }
    let files = state.files.map { file in
      let pages = (0..<((file.byteCount + page - 1) / page)).map { number -> String in
        guard number < file.pages.count else { return "." }
        let bytes = file.pages[number].bytes
        let letters = Set(bytes.prefix(file.byteCount - number * page)).sorted()
          .map { $0 == 0 ? "." : String(UnicodeScalar($0)) }
        return letters.joined(separator: "|")
      }
      return "\(String(decoding: file.path, as: UTF8.self))=\(pages.joined())"
    }
    return (names + files).sorted().joined(separator: " ")
  }

  @Test("pages that were written are there or not, each for itself, until a sync has returned")
  func pages() throws {
    let events = Self.begin(pages: 2) + [Self.write("b", page: 0), Self.write("c", page: 1)]
    #expect(try Self.states(events) == ["f=aa", "f=ba", "f=ac", "f=bc"])
    #expect(try Self.states(events + [Self.sync(Self.file)[0]]) == ["f=aa", "f=ba", "f=ac", "f=bc"])
    #expect(try Self.states(events + Self.sync(Self.file)) == ["f=bc"])
    #expect(try Self.states(events + Self.sync(Self.file, 0..<1)) == ["f=ba", "f=bc"])
  }

  @Test("a sync says nothing of what is written while it goes on")
  func during() throws {
    let sync = Self.sync(Self.file)
    let events = Self.begin(pages: 1) + [sync[0], Self.write("b", page: 0), sync[1]]
    #expect(try Self.states(events) == ["f=a", "f=b"])
  }

  @Test("a page may be any of its versions")
  func versions() throws {
    let events = Self.begin(pages: 1) + [Self.write("b", page: 0), Self.write("c", page: 0)]
    #expect(try Self.states(events) == ["f=a", "f=b", "f=c"])
  }

  @Test("a torn page is torn between sectors, and between versions of it")
  func torn() throws {
    let events = Self.begin(pages: 1) + [Self.write("b", page: 0)]
    #expect(try Self.states(events, torn: true) == ["f=a", "f=b", "f=a|b"])
  }

  @Test("a write with O_DSYNC makes its own pages durable, no others")
  func synchronous() throws {
    let events = Self.begin(pages: 2) + [Self.write("b", page: 1), Self.write("c", page: 0, isDurable: true)]
    #expect(try Self.states(events) == ["f=ca", "f=cb"])
  }

  @Test("a size may come before the bytes and after them")
  func growth() throws {
    let events = Self.begin(pages: 1) + [Self.write("b", page: 1)]
    #expect(try Self.states(events) == ["f=a", "f=a.", "f=ab"])
    // msync of what lies behind the durable end needs the size.
    #expect(try Self.states(events + Self.sync(Self.file, 1..<2)) == ["f=ab"])
  }

  @Test("nothing from before a cut is behind it, and nothing from after it when it is lost")
  func cut() throws {
    let events =
      Self.begin(pages: 2) + [
        .size(Self.file, byteCount: Self.page), .size(Self.file, byteCount: 2 * Self.page),
      ]
    #expect(try Self.states(events) == ["f=aa", "f=a", "f=a."])
    #expect(try Self.states(events + [Self.write("b", page: 1)]) == ["f=aa", "f=a", "f=a.", "f=ab"])
  }

  @Test("punched pages are there or not, each for itself")
  func punched() throws {
    let extent = CallLog.Extent(object: Self.file, offset: 0, byteCount: 2 * Self.page)
    #expect(
      try Self.states(Self.begin(pages: 2) + [.zero(extent)]) == ["f=aa", "f=.a", "f=a.", "f=.."])
  }

  // MARK: Names

  private static let other: UInt64 = 3
  private static func made(_ name: String) -> [CallLog.Event] {
    [
      .object(other, isDirectory: false, existed: false, byteCount: 0, path: Array(name.utf8)),
      .link(directory: root, name: Array(name.utf8), other),
    ]
  }

  private static func renamed(_ name: String, _ newName: String) -> CallLog.Event {
    .rename(from: root, Array(name.utf8), to: root, Array(newName.utf8), exchanges: false)
  }

  @Test("strictly, a file that was synced has no name until its directory was; in a journal it has")
  func name() throws {
    let events = Self.begin(pages: 1) + Self.made("g") + Self.sync(Self.other)
    #expect(try Self.states(events, .strict) == ["f=a", "f=a g="])
    #expect(try Self.states(events, .ordered) == ["f=a g="])
    #expect(try Self.states(events + Self.directorySync(Self.root), .ordered) == ["f=a g="])
    // A file that was not changed brings the journal nowhere.
    #expect(
      try Self.states(Self.begin(pages: 1) + Self.made("g") + Self.sync(Self.file), .ordered) == ["f=a", "f=a g="])
  }

  @Test("strictly, any change of names may be lost; in a journal those behind a moment")
  func order() throws {
    let events =
      Self.begin(pages: 1) + Self.made("g") + [.unlink(directory: Self.root, name: Array("f".utf8))]
    #expect(try Self.states(events, .strict) == ["f=a", "f=a g=", "g=", ""])
    #expect(try Self.states(events, .ordered) == ["f=a", "f=a g=", "g="])
  }

  @Test("a rename is whole: the old name or the new one, never both, never none")
  func rename() throws {
    let events =
      Self.begin(pages: 1) + Self.made("g") + Self.directorySync(Self.root) + [Self.renamed("g", "f")]
    #expect(try Self.states(events, .strict) == ["f=a g=", "f="])
    let twice = events + [Self.renamed("f", "h")]
    #expect(try Self.states(twice, .strict) == ["f=a g=", "f=", "h="])
    #expect(try Self.states(twice + Self.directorySync(Self.root), .strict) == ["h="])
  }
}

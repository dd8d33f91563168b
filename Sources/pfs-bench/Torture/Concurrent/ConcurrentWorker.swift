import CommandSupport
import Console
import SegmentStore
import StorageIO

/// The processes that the layer `concurrent` starts itself as. They say on standard output what they did, line by line:
///
///     history CASE EVENTS OPERATIONS REFUSED MOVED   a history is done, and was judged
///     event LINE                         an event of a history that the parent judges
///     moved BYTES                        what its compactions moved
///     violation KIND CASE TEXT           with newlines as \n
///     end                                all is done
enum ConcurrentWorker {
  static let name = "concurrent-worker"

  /// `histories STORE SCRATCH SEED CASES`, `act STORE SCRATCH SEED CASE ACTOR COUNT`, or `check FILE`.
  static func run(_ arguments: [[UInt8]]) throws(BenchFailure) {
    let words = arguments.map { String(decoding: $0, as: UTF8.self) }
    switch words.first {
    case "histories" where words.count == 5:
      guard let seed = UInt64(words[3]) else { break }
      let cases = words[4].split(separator: ",").compactMap { Int($0) }
      return try histories(FilePath(words[1]), FilePath(words[2]), seed, cases)
    case "act" where words.count == 7:
      guard let seed = UInt64(words[3]), let number = Int(words[4]), let actor = Int(words[5]),
        let count = Int(words[6])
      else { break }
      let stage = HistoryStage(
        store: FilePath(words[1]), scratch: FilePath(words[2]), seed: seed, caseNumber: number)
      return try act(stage, actor, count)
    case "check" where words.count == 2:
      return try check(FilePath(words[1]))
    default: break
    }
    throw BenchFailure(.usage, "concurrent-worker: histories STORE SCRATCH SEED CASES | act ... | check FILE")
  }

  // MARK: Several histories in one store

  private static func histories(
    _ path: FilePath, _ scratch: FilePath, _ seed: UInt64, _ cases: [Int]
  ) throws(BenchFailure) {
    // Every other store writes as where files cannot be mapped, and every fourth has a quota.
    let first = cases.first ?? 0
    let (isMapped, hasQuota) = (first % 2 == 0, first / 2 % 4 == 1)
    try HistoryStore.make(at: path, hasQuota: hasQuota, hasSmallSegments: first / 2 % 2 == 0)
    var expected: [Int: UInt64] = [:]
    var highestID = 0
    let store = try BenchFailure.translating { () throws(StoreError) in
      try Store(at: path, HistoryStore.configuration(isMapped: isMapped))
    }
    for number in cases {
      let stage = HistoryStage(store: path, scratch: scratch, seed: seed, caseNumber: number)
      let outcome = try ThreadHistory(stage: stage, hasQuota: hasQuota).run(on: store)
      for violation in outcome.violations { try say(violation.kind, number, violation.message) }
      if let judgement = HistoryJudgement.of(outcome.events) { try say(judgement.kind, number, judgement.message) }
      expected.merge(outcome.remaining) { first, _ in first }
      highestID = max(highestID, outcome.highestID)
      try say(
        "history \(number) \(outcome.events.count) \(outcome.operationCount) \(outcome.refusedCount) "
          + "\(outcome.movedByteCount)")
    }
    do throws(StoreError) { try store.close() } catch {
      try say(.outcome, cases.last ?? 0, "closing the store: \(error)")
    }
    for (kind, message) in HistoryStore.check(path, scratch: scratch, expected: expected, highestID: highestID) {
      try say(kind, cases.last ?? 0, message)
    }
    try say("end")
  }

  // MARK: One actor of a history of several processes

  /// Closes the store and opens it again now and then, as programs come and go.
  private static func act(_ stage: HistoryStage, _ number: Int, _ count: Int) throws(BenchFailure) {
    let seen = Monitor<[Int]>([])
    var generator = stage.generator(ofActor: number + 1000)
    var left = count
    var round = 0
    while left > 0 {
      let step = min(left, 4 + generator.below(20))
      left -= step
      let store: Store
      do throws(StoreError) {
        store = try Store(at: stage.store, HistoryStore.configuration(isMapped: number % 2 == 0))
      } catch {
        try say(error.code == .busy ? .hang : .unopenable, stage.caseNumber, "opening the store: \(error)")
        break
      }
      let actor = HistoryActor(stage, number: number * 1000 + round, store, seen: seen)
      try actor.act(count: step)
      for event in actor.events { try say("event \(event)") }
      for violation in actor.violations { try say(violation.kind, stage.caseNumber, violation.message) }
      try say("moved \(actor.movedByteCount)")
      do throws(StoreError) { try store.close() } catch {
        try say(.outcome, stage.caseNumber, "closing the store: \(error)")
      }
      round += 1
    }
    try say("end")
  }

  // MARK: A history that somebody has written down

  /// - Throws: `.different` with what is wrong with it.
  private static func check(_ path: FilePath) throws(BenchFailure) {
    let bytes = try BenchFailure.translating { () throws(SystemCallFailure) in
      let file = try File.open(path)
      return try file.bytes(at: 0, byteCount: try file.status().byteCount)
    }
    var events: [HistoryEvent] = []
    for line in String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    where !line.hasPrefix("#") {
      guard let event = HistoryEvent(parsing: line) else { throw BenchFailure(.usage, "not an event: '\(line)'") }
      events.append(event)
    }
    if let judgement = HistoryJudgement.of(events) {
      throw BenchFailure(.different, "\(judgement.kind.rawValue): \(judgement.message)")
    }
    try BenchCommand.print("\(events.count) events can be explained\n")
  }

  // MARK: Lines

  private static func say(_ kind: Violation.Kind, _ number: Int, _ message: String) throws(BenchFailure) {
    let kind = kind.rawValue.replacing(" ", with: "-")
    try say("violation \(kind) \(number) \(message.replacing("\\", with: "\\\\").replacing("\n", with: "\\n"))")
  }

  private static func say(_ line: String) throws(BenchFailure) { try BenchCommand.print(line + "\n") }
}

/// A line of a worker, as the parent reads it.
enum ConcurrentReport: Sendable {
  case history(number: Int, eventCount: Int, operationCount: Int, refusedCount: Int, movedByteCount: Int)
  case moved(byteCount: Int)
  case event(HistoryEvent)
  case violation(Violation.Kind, number: Int, String)
  case end

  init?(parsing line: [UInt8]) {
    let text = String(decoding: line, as: UTF8.self)
    let words = text.split(separator: " ", maxSplits: 3, omittingEmptySubsequences: false).map(String.init)
    switch words.first {
    case "history":
      let numbers = text.split(separator: " ").compactMap { Int($0) }
      guard numbers.count == 5 else { return nil }
      self = .history(
        number: numbers[0], eventCount: numbers[1], operationCount: numbers[2], refusedCount: numbers[3],
        movedByteCount: numbers[4])
    case "moved":
      guard words.count == 2, let byteCount = Int(words[1]) else { return nil }
      self = .moved(byteCount: byteCount)
    case "event":
      guard let event = HistoryEvent(parsing: String(text.dropFirst("event ".count))) else { return nil }
      self = .event(event)
    case "violation":
      guard words.count == 4, let kind = Violation.Kind(rawValue: words[1].replacing("-", with: " ")),
        let number = Int(words[2])
      else { return nil }
      self = .violation(kind, number: number, words[3].replacing("\\n", with: "\n").replacing("\\\\", with: "\\"))
    case "end": self = .end
    default: return nil
    }
  }
}

/// A crash: what was done, where the power went, and what it left; perhaps a second one while the first was put right.
struct ExploreCase: Hashable, Sendable {
  /// A point of a log and a state that it may leave.
  struct Crash: Hashable, Sendable {
    let point: Int
    let choice: StateChoice
  }

  let workload: Workload
  var crashes: [Crash]

  /// `WORKLOAD|POINT|STATE`, and `|POINT|STATE` again for a crash in the recovery. `WORKLOAD` alone is one that goes wrong
  /// without any crash.
  var text: String {
    ([workload.text] + crashes.flatMap { ["\($0.point)", $0.choice.text] }).joined(separator: "|")
  }

  init(_ workload: Workload, _ crashes: [Crash]) {
    self.workload = workload
    self.crashes = crashes
  }

  /// - Throws: `.usage`.
  init(parsing text: String, seed: UInt64) throws(BenchFailure) {
    let words = text.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
    guard let first = words.first, [1, 3, 5].contains(words.count) else {
      throw BenchFailure(.usage, "'\(text)' is not WORKLOAD|POINT|STATE")
    }
    workload = try Workload(parsing: first, seed: seed)
    crashes = []
    for index in stride(from: 1, to: words.count, by: 2) {
      guard let point = Int(words[index]) else {
        throw BenchFailure(.usage, "'\(words[index])' is not the number of a crash point")
      }
      crashes.append(Crash(point: point, choice: try StateChoice(parsing: words[index + 1])))
    }
  }
}

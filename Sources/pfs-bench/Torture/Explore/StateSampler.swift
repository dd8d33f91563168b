/// Chooses which of the states that a crash may leave at one point are looked at.
///
/// Where there are few, all. Otherwise those in which one thing, or everything before or behind a moment, is otherwise than
/// the rest, because a wrong order shows there; random ones; torn pages; and random versions in between.
struct StateSampler {
  /// A state is counted by the first of these that it is.
  enum Kind: Sendable {
    case torn, stale, plain
  }

  struct Sample: Sendable {
    let choice: StateChoice
    let kind: Kind
  }

  /// So many things or fewer: every combination of lost and there.
  private static let exhaustiveThingCount = 8
  /// So many states or fewer: every combination of all versions.
  private static let exhaustiveStateCount = 256
  private static let randomCount = 64
  private static let staleCount = 8
  private static let hotPageCount = 16
  private static let randomMaskCount = 16
  private static let sectorCount = PageBytes.byteCount / PageBytes.sectorByteCount

  private let point: CrashPoint
  private var generator: SplitMix64

  init(_ point: CrashPoint, _ generator: SplitMix64) {
    self.point = point
    self.generator = generator
  }

  /// States of both models, the most telling first and then mixed; some are the same as others.
  mutating func samples() -> [Sample] {
    var samples = samples(.ordered)
    let isStrictAlike = point.things(.strict).allSatisfy { thing in
      if case .operation = thing.subject { false } else { true }
    }
    if !isStrictAlike { samples += self.samples(.strict) }
    let extremes = samples.filter { sample in
      sample.kind == .plain && sample.choice.model == .ordered && Set(sample.choice.picks).count <= 1
    }
    shuffle(&samples)
    // What is the same is passed over by its hash.
    return extremes + samples
  }

  private mutating func samples(_ model: StateChoice.Model) -> [Sample] {
    let things = point.things(model)
    var samples = plain(model, things)
    samples += torn(model, things)
    if things.contains(where: { $0.versionCount > 2 }) {
      for _ in 0..<StateSampler.staleCount {
        let picks = things.map { StateChoice.Pick.version(generator.below($0.versionCount)) }
        samples.append(Sample(choice: StateChoice(model, picks), kind: .stale))
      }
    }
    return samples
  }

  private mutating func plain(_ model: StateChoice.Model, _ things: [CrashPoint.Thing]) -> [Sample] {
    let stateCount = things.reduce(1) { product, thing in
      min(product * thing.versionCount, StateSampler.exhaustiveStateCount + 1)
    }
    if stateCount <= StateSampler.exhaustiveStateCount {
      return (0..<stateCount).map { number in
        var rest = number
        let picks = things.map { thing in
          defer { rest /= thing.versionCount }
          return pick(rest % thing.versionCount, of: thing)
        }
        return plain(model, picks)
      }
    }
    let count = things.count
    if count <= StateSampler.exhaustiveThingCount {
      return (0..<(1 << count)).map { mask in
        plain(model, (0..<count).map { mask >> $0 & 1 == 1 ? .newest : .oldest })
      } + cuts(model, things)
    }
    var samples = [
      plain(model, [StateChoice.Pick](repeating: .oldest, count: count)),
      plain(model, [StateChoice.Pick](repeating: .newest, count: count)),
    ]
    for (rule, exception) in [(StateChoice.Pick.oldest, StateChoice.Pick.newest), (.newest, .oldest)] {
      for index in 0..<count {
        var picks = [StateChoice.Pick](repeating: rule, count: count)
        picks[index] = exception
        samples.append(plain(model, picks))
      }
    }
    samples += cuts(model, things)
    for _ in 0..<StateSampler.randomCount {
      samples.append(plain(model, (0..<count).map { _ in generator.below(2) == 0 ? .oldest : .newest }))
    }
    return samples
  }

  private func plain(_ model: StateChoice.Model, _ picks: [StateChoice.Pick]) -> Sample {
    Sample(choice: StateChoice(model, picks), kind: .plain)
  }

  private func pick(_ version: Int, of thing: CrashPoint.Thing) -> StateChoice.Pick {
    version == 0 ? .oldest : version == thing.versionCount - 1 ? .newest : .version(version)
  }

  /// Everything up to a moment, and everything but that.
  private func cuts(_ model: StateChoice.Model, _ things: [CrashPoint.Thing]) -> [Sample] {
    let events = Set(things.flatMap(\.events)).sorted()
    return events.flatMap { event in
      [
        plain(model, things.map { thing in pick(thing.events.count { $0 <= event }, of: thing) }),
        plain(model, things.map { thing in (thing.events.last ?? 0) > event ? .newest : .oldest }),
      ]
    }
  }

  /// Pages that were changed last, each torn in every way from the front, and in random ones.
  private mutating func torn(_ model: StateChoice.Model, _ things: [CrashPoint.Thing]) -> [Sample] {
    let pages = things.indices.filter { index in
      if case .page = things[index].subject { true } else { false }
    }
    let hot = pages.sorted { (things[$0].events.last ?? 0) > (things[$1].events.last ?? 0) }
      .prefix(StateSampler.hotPageCount)
    var samples: [Sample] = []
    for thing in hot {
      var masks = (1..<StateSampler.sectorCount).map { count in UInt8((1 << count) - 1) }
      for _ in 0..<StateSampler.randomMaskCount { masks.append(UInt8(1 + generator.below(254))) }
      for (number, mask) in masks.enumerated() {
        var picks = things.map { _ in StateChoice.Pick.newest }
        // Half of them with all else there, half with any of it lost.
        if number % 2 == 1 { for index in picks.indices where generator.below(2) == 0 { picks[index] = .oldest } }
        picks[thing] = .newest
        let tear = StateChoice.Tear(
          thing: thing, olderVersion: generator.below(things[thing].versionCount - 1), mask: mask)
        samples.append(Sample(choice: StateChoice(model, picks, tears: [tear]), kind: .torn))
      }
    }
    return samples
  }

  private mutating func shuffle(_ samples: inout [Sample]) {
    for index in samples.indices.dropLast() {
      samples.swapAt(index, index + generator.below(samples.count - index))
    }
  }
}

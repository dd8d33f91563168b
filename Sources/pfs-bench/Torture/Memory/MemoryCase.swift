import SegmentStore
import StorageIO

/// A store with given parts, an operation, a number of workers and a memory limit.
struct MemoryCase: Hashable, Sendable {
  let operation: MemoryOperation
  let partByteCount: Int
  let workerCount: Int
  let step: Step

  /// Where the limit is, by the smallest that works.
  enum Step: Hashable, Sendable {
    /// A limit that is refused: the smallest, less so many KiB.
    case below(Int)
    /// The smallest and so many KiB.
    case above(Int)
    /// The smallest times so many sixteenths.
    case sixteenths(Int)

    func kibibytes(floor: Int) -> Int {
      switch self {
      case .below(let less): max(1, floor - less)
      case .above(let more): floor + more
      case .sixteenths(let count): (floor * count + 15) / 16
      }
    }
  }

  private static let partByteCounts = [4 << 10, 64 << 10, 1 << 20]
  private static let workerCounts = [1, 2, 4]
  /// From the smallest up to four times it in steps of a quarter, and a few beyond; and some that are too small.
  private static let steps: [Step] =
    [.below(1), .below(64), .below(1 << 20), .above(0), .above(1), .above(4), .above(64)]
    + stride(from: 20, through: 64, by: 4).map { .sixteenths($0) } + [96, 160, 512].map { .sixteenths($0) }

  static let all: [MemoryCase] = MemoryOperation.allCases.flatMap { operation in
    partByteCounts.flatMap { partByteCount in
      workerCounts.flatMap { workerCount in
        steps.map { step in
          MemoryCase(operation: operation, partByteCount: partByteCount, workerCount: workerCount, step: step)
        }
      }
    }
  }

  /// All of them in an order of chance, so that few of them are of all kinds.
  static func shuffled(seed: UInt64) -> [MemoryCase] {
    var generator = SplitMix64(seed: seed)
    return generator.shuffled(all)
  }

  // MARK: As text

  init(operation: MemoryOperation, partByteCount: Int, workerCount: Int, step: Step) {
    self.operation = operation
    self.partByteCount = partByteCount
    self.workerCount = workerCount
    self.step = step
  }

  var text: String {
    let step =
      switch step {
      case .below(let less): "-\(less)KiB"
      case .above(let more): "+\(more)KiB"
      case .sixteenths(let count): "x\(count)/16"
      }
    return "\(operation.rawValue),\(partByteCount),\(workerCount),\(step)"
  }

  init?(parsing text: String) {
    guard let found = MemoryCase.all.first(where: { $0.text == text }) else { return nil }
    self = found
  }
}

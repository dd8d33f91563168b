import StorageIO

/// Which parts of a source lie in holes, asked from the front to the end.
///
/// A hole reads as zeros; so what lies wholly in one is neither read nor hashed.
struct SourceLayout {
  private let file: File?
  private let byteCount: Int
  private let partByteCount: Int
  /// The data found last. Between the part asked for last and its start there are only holes.
  private var data = 0..<0

  /// - Parameters:
  ///   - file: Nil for bytes in memory, which have no holes.
  ///   - byteCount: Of the source; 0 for a stream, which has none either.
  init(_ file: File?, byteCount: Int, partByteCount: Int) {
    self.file = file
    self.byteCount = byteCount
    self.partByteCount = partByteCount
  }

  /// How many parts from `number` on lie wholly in a hole. Numbers must not fall from call to call.
  mutating func holePartCount(from number: Int) throws(StoreError) -> Int {
    let start = number * partByteCount
    guard start < byteCount else { return 0 }
    if start >= data.upperBound { try find(from: start) }
    let partsBeforeData =
      data.lowerBound >= byteCount ? PutPlan.partCount(byteCount, partByteCount) : data.lowerBound / partByteCount
    return max(0, partsBeforeData - number)
  }

  /// The parts among `numbers` that have to be read.
  mutating func dataParts(in numbers: Range<Int>) throws(StoreError) -> [Int] {
    var found: [Int] = []
    var number = numbers.lowerBound
    while number < numbers.upperBound {
      let holeCount = try holePartCount(from: number)
      if holeCount == 0 { found.append(number) }
      number += max(1, holeCount)
    }
    return found
  }

  private mutating func find(from offset: Int) throws(StoreError) {
    guard let file else {
      data = offset..<Int.max
      return
    }
    do throws(SystemCallFailure) {
      if let start = try file.nextData(from: offset) {
        data = start..<max(start + 1, try file.nextHole(from: start))
      } else {
        data = Int.max..<Int.max
      }
    } catch {
      throw StoreError(user: error)
    }
  }
}

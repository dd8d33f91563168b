import StorageIO

/// Made-up input: the same bytes for the same seed and kind on every machine, whatever the number of threads.
///
/// The bytes come in sections of 4 MiB, each made from the seed and its number alone, so that a longer corpus begins
/// with the shorter one. No section is zeros and none repeats another, so that neither the store nor zlib gets
/// anything for free: at level 1 zlib makes text-like ones 0.29 and binary-like ones 0.37 of their size, at speeds
/// near those for real text and machine code.
struct BenchCorpus: Sendable {
  enum Kind: String, Sendable, CaseIterable {
    /// Text-like and binary-like sections in turn.
    case compressible
    /// Text-like, binary-like and incompressible sections in turn.
    case mixed
    case incompressible
  }

  static let sectionByteCount = 4 << 20

  let kind: Kind
  let seed: UInt64
  private let vocabulary: [[UInt8]]
  private let instructions: [Instruction]

  /// A pattern of machine code: fixed bytes, then an operand.
  private struct Instruction: Sendable {
    let opcode: [UInt8]
    let operandByteCount: Int
  }

  init(_ kind: Kind, seed: UInt64) {
    self.kind = kind
    self.seed = seed
    var random = SplitMix64(seed: seed)
    let syllables = (0..<160).map { _ in
      BenchCorpus.letters(random.below(2) + 1, of: "bcdfghklmnprstvwz", &random)
        + BenchCorpus.letters(1, of: "aeiou", &random)
    }
    vocabulary = (0..<8192).map { _ in
      (0...random.below(3)).flatMap { _ in syllables[random.below(syllables.count)] } + [UInt8(ascii: " ")]
    }
    instructions = (0..<192).map { _ in
      Instruction(
        opcode: (0...random.below(3)).map { _ in UInt8(truncatingIfNeeded: random.next()) },
        operandByteCount: [0, 0, 1, 1, 1, 4][random.below(6)])
    }
  }

  /// Makes the file `path` of `byteCount` bytes, and makes it durable so that no writeback runs beside a measurement.
  func write(
    _ byteCount: Int, to path: FilePath, workerCount: Int, _ interruption: Interruption
  ) throws(BenchFailure) {
    let file = try BenchFailure.translating { () throws(SystemCallFailure) in
      try File.open(path, [.write, .createNew])
    }
    let sectionCount = (byteCount + BenchCorpus.sectionByteCount - 1) / BenchCorpus.sectionByteCount
    try ParallelWork.run(count: sectionCount, workerCount: workerCount, { () throws(BenchFailure) in }) {
      (_: Void, number) throws(BenchFailure) in
      try interruption.check()
      let offset = number * BenchCorpus.sectionByteCount
      let bytes = Array(section(number).prefix(byteCount - offset))
      try BenchFailure.translating { () throws(SystemCallFailure) in
        try file.write(bytes, at: offset)
        file.startWriteback(offset..<(offset + bytes.count))
      }
    }
    try BenchFailure.translating { () throws(SystemCallFailure) in try file.sync() }
  }

  /// The bytes of section `number`.
  func section(_ number: Int) -> [UInt8] {
    var random = SplitMix64(seed: seed &+ UInt64(number + 1) &* 0xD134_2543_DE82_EF95)
    let kindCount = kind == .mixed ? 3 : 2
    switch kind == .incompressible ? 2 : number % kindCount {
    case 0: return text(&random)
    case 1: return binary(&random)
    default: return noise(&random)
    }
  }

  /// Sentences of words, few of which are frequent; some sentences come again.
  private func text(_ random: inout SplitMix64) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(BenchCorpus.sectionByteCount + 1024)
    while bytes.count < BenchCorpus.sectionByteCount {
      // Before most sentences a stretch of the last 16 KiB comes again, as headings, quotes and log lines do.
      if bytes.count > 1024, random.below(5) < 3 {
        let start = bytes.count - 256 - random.below(min(16 << 10, bytes.count - 512))
        bytes += Array(bytes[start..<(start + 24 + random.below(160))])
      }
      for _ in 0..<(5 + random.below(14)) {
        // A power of an even spread: the first words of the vocabulary come up most, as in any language.
        let spread = Double(random.below(1 << 20)) / Double(1 << 20)
        bytes += vocabulary[Int(spread * spread * spread * spread * Double(vocabulary.count))]
      }
      bytes[bytes.count - 1] = random.below(6) == 0 ? UInt8(ascii: "\n") : UInt8(ascii: ".")
    }
    bytes.removeLast(bytes.count - BenchCorpus.sectionByteCount)
    return bytes
  }

  /// Runs of instructions, of which some come again, with tables of rising addresses between them.
  private func binary(_ random: inout SplitMix64) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(BenchCorpus.sectionByteCount + 4096)
    var address: UInt32 = 0x0040_0000
    while bytes.count < BenchCorpus.sectionByteCount {
      if bytes.count > 4096, random.below(4) < 3 {
        let start = bytes.count - 512 - random.below(min(24 << 10, bytes.count - 1024))
        bytes += Array(bytes[start..<(start + 8 + random.below(64))])
      }
      if random.below(64) == 0 {
        for _ in 0..<random.below(64) {
          address &+= UInt32(random.below(64)) * 4
          bytes += BenchCorpus.littleEndian(UInt64(address), byteCount: 4) + [0, 0, 0, 0]
        }
      }
      for _ in 0..<(2 + random.below(8)) {
        let spread = Double(random.below(1 << 20)) / Double(1 << 20)
        let instruction = instructions[Int(spread * spread * spread * Double(instructions.count))]
        bytes += instruction.opcode
        switch instruction.operandByteCount {
        case 1: bytes.append(UInt8(random.below(12)) << 3)
        case 4: bytes += BenchCorpus.littleEndian(UInt64(random.below(1 << 16)), byteCount: 4)
        default: break
        }
      }
    }
    bytes.removeLast(bytes.count - BenchCorpus.sectionByteCount)
    return bytes
  }

  private func noise(_ random: inout SplitMix64) -> [UInt8] {
    var bytes: [UInt8] = []
    bytes.reserveCapacity(BenchCorpus.sectionByteCount)
    while bytes.count < BenchCorpus.sectionByteCount {
      bytes += BenchCorpus.littleEndian(random.next(), byteCount: 8)
    }
    return bytes
  }

  private static func letters(_ count: Int, of alphabet: StaticString, _ random: inout SplitMix64) -> [UInt8] {
    let alphabet = Array(alphabet.description.utf8)
    return (0..<count).map { _ in alphabet[random.below(alphabet.count)] }
  }

  private static func littleEndian(_ value: UInt64, byteCount: Int) -> [UInt8] {
    (0..<byteCount).map { index in UInt8(truncatingIfNeeded: value >> (8 * UInt64(index))) }
  }
}

import Codecs
import Mutants
import StorageIO

/// The file `high-water`: how far ids had come when something that carried them was given back.
///
/// Records and segment headers carry the ids that were given out; what is punched, cut or removed carries them no more. So
/// before that, the counters are written here, durably: an index that is made anew goes on above all that it finds, here
/// and in the segments. Two slots are written in turn, so that a torn write costs the one that was being written.
struct HighWater: Sendable {
  static let fileName = Array("high-water".utf8)
  static let magic = Array("PFSHIGH\n".utf8)
  static let slotByteCount = 512
  static let byteCount = 2 * slotByteCount

  let path: FilePath
  /// What this process knows to be on the device: nobody lowers it.
  private let durable = Monitor<Counters?>(nil)

  init(path: FilePath) { self.path = path }

  enum Offset {
    static let magic = 0
    static let generation = magic + 8
    static let counters = generation + 8
    static let reserved = counters + Counters.byteCount
    static let checksum = HighWater.slotByteCount - 4

    static let fields = FormatField.list(
      [
        "magic": magic, "generation": generation, "counters": counters, "reserved": reserved, "checksum": checksum,
      ], end: HighWater.slotByteCount)
  }

  struct Slot {
    var generation: UInt64 = 0
    var counters = Counters()
  }

  /// Makes sure that the file says at least `counters`; durable on return. To be called in a write transaction of the
  /// index, which keeps other processes from doing the same, and before the transaction frees anything.
  func raise(to counters: Counters) throws(StoreError) {
    if Mutant.forgetHighWater.isActive { return }
    if let known = durable.withLock({ $0 }), known.raised(to: counters) == known { return }
    var raised = counters
    let file = try translating { () throws(SystemCallFailure) in
      let file = try File.open(path, [.write, .create, .noFollow])
      let bytes = try file.bytes(at: 0, byteCount: HighWater.byteCount)
      let newest = HighWater.newestSlot(bytes)
      raised = newest.counters.raised(to: counters)
      if raised != newest.counters || newest.generation == 0 {
        let next = Slot(generation: newest.generation + 1, counters: raised)
        try file.write(HighWater.encode(next), at: Int(next.generation % 2) * HighWater.slotByteCount)
      }
      return file
    }
    // Even if it says so already: whoever wrote it may have died before the sync.
    do throws(SystemCallFailure) { try file.syncData() } catch {
      throw StoreError(.durabilityUnknown, "\(error); whether ids are remembered is not known")
    }
    let saved = raised
    durable.withLock { $0 = saved }
  }

  /// What the file says; the first ids of all when it says nothing.
  func read() throws(StoreError) -> Counters {
    do throws(SystemCallFailure) {
      return HighWater.newestSlot(try File.open(path, .noFollow).bytes(at: 0, byteCount: HighWater.byteCount)).counters
    } catch  where error.isNotFound {
      return Counters()
    } catch {
      throw StoreError(error)
    }
  }

  private static func encode(_ slot: Slot) -> [UInt8] {
    var writer = ByteWriter(byteCount: slotByteCount)
    writer.put(magic, at: Offset.magic)
    writer.put(slot.generation, at: Offset.generation)
    writer.put(slot.counters.encoded(), at: Offset.counters)
    writer.put(CRC32C.checksum(of: writer.bytes, upTo: Offset.checksum), at: Offset.checksum)
    return writer.bytes
  }

  /// The slot written last of those that are intact.
  static func newestSlot(_ bytes: [UInt8]) -> Slot {
    var newest = Slot()
    for start in stride(from: 0, through: bytes.count - slotByteCount, by: slotByteCount) {
      let slot = Array(bytes[start..<(start + slotByteCount)])
      let reader = ByteReader(slot)
      guard isIntact(slot) else { continue }
      let generation: UInt64 = reader.get(Offset.generation)
      guard generation > newest.generation, generation < .max else { continue }
      do throws(FormatFailure) {
        let counters = try Counters(decoding: reader.get(Offset.counters, byteCount: Counters.byteCount))
        newest = Slot(generation: generation, counters: counters)
      } catch {}
    }
    return newest
  }
}

extension HighWater {
  /// How the file is, for a verification.
  enum Condition: Hashable {
    case intact
    /// As after a write that power cut short, or damage: the other slot counts.
    case oneSlotTorn(String)
    case damaged(String)
  }

  func condition() -> Condition {
    let bytes: [UInt8]
    do throws(SystemCallFailure) {
      bytes = try File.open(path, .noFollow).bytes(at: 0, byteCount: HighWater.byteCount + 1)
    } catch {
      return .damaged(error.isNotFound ? "the file is missing" : error.description)
    }
    guard bytes.count == HighWater.byteCount else {
      return .damaged("\(bytes.count) bytes, \(HighWater.byteCount) expected")
    }
    let slots = [Array(bytes.prefix(HighWater.slotByteCount)), Array(bytes.suffix(HighWater.slotByteCount))]
    let torn = slots.indices.filter { !slots[$0].allSatisfy { $0 == 0 } && !HighWater.isIntact(slots[$0]) }
    if torn.isEmpty { return .intact }
    let other = slots.indices.contains { HighWater.isIntact(slots[$0]) }
    let message = "slot \(torn.map { String($0 + 1) }.joined(separator: " and ")): its checksum does not match"
    return other ? .oneSlotTorn(message) : .damaged(message)
  }

  private static func isIntact(_ slot: [UInt8]) -> Bool {
    slot.starts(with: magic)
      && CRC32C.checksum(of: slot, upTo: Offset.checksum) == ByteReader(slot).get(Offset.checksum, as: UInt32.self)
  }
}

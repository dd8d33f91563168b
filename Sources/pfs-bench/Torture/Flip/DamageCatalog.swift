/// All damages of a layer in one order, which the seed decides: every process that tries some of them counts alike.
struct DamageCatalog {
  let stores: ReferenceStores
  /// Where structures lie, by the name of the segment file.
  let maps: [String: SegmentMap]
  private let names: [String]
  private var structures: [String: [Bool]] = [:]
  /// Flips, packed: file, byte, bit.
  private var flips: [UInt64] = []
  private var others: [DamageCase] = []
  /// The flips that are one bit of every byte; they come first.
  private(set) var firstPassCount = 0

  private static let bitShift = 3
  private static let fileShift = 48
  /// Files that are nothing but structure.
  private static let structureNames = [ReferenceImage.index, "STORE", "high-water", "CHUNKS"]
  /// Of pages without anything in them one byte in so many is flipped: they are holes, and hold nothing on a disk.
  private static let holeStride = 512

  var count: Int { flips.isEmpty ? others.count : flips.count }

  /// - Parameter file: Nil for all damages, otherwise those of one file.
  init(_ stores: ReferenceStores, layer: DamageLayer.Kind, seed: UInt64, file: String? = nil) {
    self.stores = stores
    names = stores.reference.names
    var maps: [String: SegmentMap] = [:]
    for (position, name) in stores.reference.segmentNames.enumerated() {
      maps[name] = SegmentMap(stores.reference[name], segment: DamageCatalog.segment(name) ?? UInt64(position + 1))
    }
    self.maps = maps
    for name in names {
      structures[name] = DamageCatalog.structure(name, byteCount: stores.reference[name].count, maps[name])
    }
    var random = SplitMix64(seed: seed ^ 0xF11B)
    switch layer {
    case .flip: addFlips(&random)
    case .truncate: addOthers(&random)
    }
    guard let file else { return }
    others.removeAll { $0.file != file }
    let position = names.firstIndex(of: file).map { UInt64($0) }
    flips.removeAll { $0 >> UInt64(DamageCatalog.fileShift) != position }
    firstPassCount = min(firstPassCount, flips.count)
  }

  subscript(_ number: Int) -> DamageCase {
    if flips.isEmpty { return others[number] }
    let packed = flips[number]
    let place = Int(packed & (1 << UInt64(DamageCatalog.fileShift) - 1))
    return DamageCase(
      names[Int(packed >> UInt64(DamageCatalog.fileShift))],
      .flip(offset: place >> DamageCatalog.bitShift, bit: place & (1 << DamageCatalog.bitShift - 1)))
  }

  /// The files of which the damage may have hit a record; nil when that cannot be said.
  func filesHit(by damage: DamageCase) -> Set<UInt64>? {
    guard let map = maps[damage.file] else { return [] }
    var hit = map.files(in: damage.changedRange(of: stores.reference[damage.file].count))
    switch damage.damage {
    case .exchanged(let other), .duplicated(let other): hit.formUnion(maps[other]?.records.map(\.file) ?? [])
    default: break
    }
    // A commit record, of file 0, may be of any of them.
    return hit.contains(0) ? nil : hit
  }

  /// Whether the byte describes something: headers, manifests, tables, the index; not bytes of files or nothing.
  func isStructure(_ name: String, _ offset: Int) -> Bool { structures[name]?[offset] ?? false }

  private static func structure(_ name: String, byteCount: Int, _ map: SegmentMap?) -> [Bool] {
    guard let map else {
      return [Bool](repeating: structureNames.contains(name), count: byteCount)
    }
    var flags = [Bool](repeating: false, count: byteCount)
    let ranges = [0..<SegmentMap.headerByteCount] + map.records.map(\.description) + (map.footer.map { [$0] } ?? [])
    for range in ranges { for offset in range.clamped(to: flags.indices) { flags[offset] = true } }
    return flags
  }

  private static func segment(_ name: String) -> UInt64? {
    name.split(separator: "/").last?.split(separator: ".").first.flatMap { UInt64($0) }
  }

  // MARK: Flips

  private mutating func addFlips(_ random: inout SplitMix64) {
    var first: [UInt64] = []
    var second: [UInt64] = []
    for (file, name) in names.enumerated() {
      let bytes = stores.reference[name]
      func packed(_ offset: Int, _ bit: Int) -> UInt64 {
        UInt64(file) << UInt64(DamageCatalog.fileShift) | UInt64(offset << DamageCatalog.bitShift | bit)
      }
      let isHole = DamageCatalog.holes(bytes, name)
      let isStructure = structures[name] ?? []
      for offset in bytes.indices {
        if isHole[offset / DamageCase.pageByteCount] && offset % DamageCatalog.holeStride != 0 { continue }
        let chosen = random.below(8)
        first.append(packed(offset, chosen))
        guard isStructure[offset] else { continue }
        for bit in 0..<8 where bit != chosen { second.append(packed(offset, bit)) }
      }
    }
    first = random.shuffled(first)
    second = random.shuffled(second)
    firstPassCount = first.count
    flips = first + second
  }

  /// Which pages of a segment, or of what is set aside, are zeros throughout.
  private static func holes(_ bytes: [UInt8], _ name: String) -> [Bool] {
    let canHaveHoles = ReferenceImage.isContainer(name) || name == ReferenceImage.reserve
    return stride(from: 0, to: bytes.count, by: DamageCase.pageByteCount).map { start in
      canHaveHoles && bytes[start..<min(bytes.count, start + DamageCase.pageByteCount)].allSatisfy { $0 == 0 }
    }
  }

  // MARK: Everything else

  private mutating func addOthers(_ random: inout SplitMix64) {
    for name in names where name != ReferenceImage.reserve {
      let bytes = stores.reference[name]
      for byteCount in cuts(name, bytes) { others.append(DamageCase(name, .cut(byteCount))) }
      let pageCount = (bytes.count + DamageCase.pageByteCount - 1) / DamageCase.pageByteCount
      for page in 0..<pageCount {
        var damages: [DamageCase.Damage] = [.zeroedPage(page), .pageOfOnes(page), .olderPage(page), .foreignPage(page)]
        for _ in 0..<3 { damages.append(.misplacedPage(page, from: random.below(pageCount))) }
        others += damages.map { DamageCase(name, $0) }
      }
      for byteCount in [1, 63, 64, 128, 511, 512, 4095, 4096, 65_536] {
        for isZero in [true, false] { others.append(DamageCase(name, .extended(byteCount, isZero: isZero))) }
      }
      others.append(DamageCase(name, .missing))
      if stores.foreign.files[name] != nil { others.append(DamageCase(name, .foreign)) }
    }
    addWholeSegments()
    // Writes that were lost together, such as those of one transaction.
    let index = ReferenceImage.index
    let changed = DamageCase.changedPages(of: index, stores)
    others.append(DamageCase(index, .olderButForMeta))
    for page in changed {
      // Both meta pages are all that has happened since: a device that loses it all keeps no promise.
      for other in changed where other > max(page, 1) { others.append(DamageCase(index, .olderPages(page, other))) }
    }
    let stores = stores
    others.removeAll { $0.isNothing(stores) }
    others = random.shuffled(others)
  }

  private mutating func addWholeSegments() {
    let segments = stores.reference.containerNames
    for (position, name) in segments.enumerated() {
      for other in segments[(position + 1)...] { others.append(DamageCase(name, .exchanged(with: other))) }
      for other in segments where other != name { others.append(DamageCase(name, .duplicated(as: other))) }
      let (folder, kind) = name.hasPrefix("chunks/") ? ("chunks", "chunk") : ("segments", "seg")
      for free in ["0000000000000099.\(kind)", "0000000000000002.\(kind)~", "copy"] {
        others.append(DamageCase(name, .duplicated(as: "\(folder)/\(free)")))
      }
    }
    others.append(DamageCase(ReferenceImage.index, .duplicated(as: ReferenceImage.indexLock)))
    for (name, other) in [("STORE", "high-water"), ("CHUNKS", "locks")] where stores.reference.files[name] != nil {
      others.append(DamageCase(name, .exchanged(with: other)))
    }
  }

  /// Every 512 bytes where there is something, and around every structure.
  private func cuts(_ name: String, _ bytes: [UInt8]) -> [Int] {
    var places = Set(stride(from: 0, through: bytes.count, by: 512))
    let isHole = DamageCatalog.holes(bytes, name)
    places = places.filter {
      $0 % DamageCase.pageByteCount == 0 || $0 >= bytes.count || !isHole[$0 / DamageCase.pageByteCount]
    }
    places.formUnion(maps[name]?.boundaries ?? [])
    let around = places.flatMap { [$0 - 1, $0, $0 + 1] }
    return Set(around).filter { (0..<bytes.count).contains($0) }.sorted()
  }
}

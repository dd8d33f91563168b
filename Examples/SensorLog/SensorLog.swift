import ChunkStore

/// What one sensor said at one moment.
struct Reading: ChunkStorable {
  var second: UInt32
  var sensor: UInt16
  var status: UInt16
  var value: Double

  static let layout = StructureLayout(
    of: Reading.self, version: 1, .field("second", \.second), .field("sensor", \.sensor),
    .field("status", \.status), .field("value", \.value))
}

/// A log of readings, an array for each day, however much larger than memory all of them are.
///
/// A day that is over is sealed: from then on it is checked whenever a program that opened the store first reads it.
struct SensorLog {
  /// Every second, so many sensors.
  static let sensorCount = 100
  static let readingsOfDay = 86_400 * sensorCount
  /// As many as are written in one borrow.
  private static let hourCount = 24
  private static let alarmLimit = 99.5

  let store: TypedStore

  init(at path: FilePath) throws(ChunkStoreError) {
    do throws(ChunkStoreError) {
      store = try TypedStore(at: path)
    } catch  where error.code == .noStore {
      try TypedStore.create(at: path)
      store = try TypedStore(at: path)
    }
  }

  private func key(_ day: Int) -> ChunkKey { "log/\(day + 10_000)" }

  /// The days that are in the log.
  func days() throws(ChunkStoreError) -> [ChunkKey] { try store.keys(prefix: "log/") }

  /// Writes the readings of a day, hour by hour, and seals them; a day that is sealed already stays as it is.
  func record(_ day: Int) throws(ChunkStoreError) {
    if let existing = try store.object(key(day)) {
      if existing.isSealed { return }
      // A day that was cut short by a crash is written anew.
      try store.delete(key(day))
    }
    let readings = try store.newArray(key(day), of: Reading.self, count: SensorLog.readingsOfDay, durability: .staged)
    let alarms = try alarms()
    let ofHour = SensorLog.readingsOfDay / SensorLog.hourCount
    for hour in 0..<SensorLog.hourCount {
      var lastAlarm: Reading?
      try readings.withMutableElements(in: (hour * ofHour)..<((hour + 1) * ofHour)) { elements in
        for index in 0..<elements.count {
          let reading = SensorLog.reading(hour * ofHour + index, ofDay: day)
          elements[index] = reading
          if reading.value > SensorLog.alarmLimit { lastAlarm = reading }
        }
      }
      if let lastAlarm { try alarms.append(lastAlarm) }
      try store.flush()
    }
    try store.seal(key(day))
  }

  /// The newest alarms.
  func alarms() throws(ChunkStoreError) -> Ring<Reading> {
    if try store.object("alarms") == nil { return try store.newRing("alarms", capacity: 100) }
    return try store.ring("alarms")
  }

  /// The mean of what one sensor said on a day.
  func mean(of sensor: Int, on day: Int) throws(ChunkStoreError) -> Double {
    try store.array(key(day), of: Reading.self).withElements { elements in
      var sum = 0.0
      for index in stride(from: sensor, to: elements.count, by: SensorLog.sensorCount) { sum += elements[index].value }
      return sum / Double(elements.count / SensorLog.sensorCount)
    }
  }

  /// A made-up reading, the same each time.
  private static func reading(_ number: Int, ofDay day: Int) -> Reading {
    let noise = UInt64(truncatingIfNeeded: number &+ day) &* 0x9E37_79B9_7F4A_7C15
    return Reading(
      second: UInt32(number / sensorCount), sensor: UInt16(number % sensorCount), status: 0,
      value: Double(noise >> 40) / Double(1 << 24) * 100)
  }
}

import Codecs
import Testing

@Suite("ZeroCheck") struct ZeroCheckTests {
  @Test("finds one byte that is not zero, wherever it is, and none where there is none")
  func everyPosition() {
    for byteCount in 0...300 {
      var bytes = [UInt8](repeating: 0, count: byteCount)
      #expect(bytes.lend { ZeroCheck.isAllZero($0) }, "\(byteCount) zero bytes")
      for position in 0..<byteCount {
        bytes[position] = UInt8(1) << UInt8(position % 8)
        let found = bytes.lend { ZeroCheck.isAllZero($0) }
        if found { Issue.record("byte \(position) of \(byteCount) was missed") }
        bytes[position] = 0
      }
    }
  }

  @Test("looks at the bytes of the span and at no others", arguments: 0..<17)
  func bounds(offset: Int) {
    var bytes = [UInt8](repeating: 0xff, count: 400)
    for index in offset..<offset + 300 { bytes[index] = 0 }
    #expect(bytes.lend { ZeroCheck.isAllZero($0.extracting(offset..<offset + 300)) })
    #expect(!bytes.lend { ZeroCheck.isAllZero($0.extracting(offset..<offset + 301)) })
  }
}

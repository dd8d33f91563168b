// libFuzzer calls these two; its library brings `main`.

import Glibc

/// The target that FUZZ_TARGET names, found once.
private let target: FuzzTarget = {
  let name = getenv("FUZZ_TARGET").map { String(cString: $0) } ?? ""
  for target in FuzzTarget.all where target.name == name { return target }
  let names = FuzzTarget.all.map { target in target.name }
  print("FUZZ_TARGET is '\(name)'; there are: \(names.joined(separator: " "))")
  exit(2)
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ data: UnsafePointer<UInt8>?, _ byteCount: Int) -> CInt {
  target.run(Array(UnsafeBufferPointer(start: data, count: byteCount)))
  return 0
}

@_cdecl("LLVMFuzzerInitialize")
public func fuzzInitialize(
  _ count: UnsafeMutablePointer<CInt>?,
  _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?>?
) -> CInt {
  // `fuzz list` for the script that runs all of them.
  if getenv("FUZZ_LIST") != nil {
    for target in FuzzTarget.all { print(target.name) }
    exit(0)
  }
  _ = target
  return 0
}

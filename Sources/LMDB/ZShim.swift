import Foundation
@safe final class MutexBox<V>: @unchecked Sendable { let l: UnsafeMutablePointer<pthread_mutex_t>; var v: V
 init(_ v: V) { unsafe l = .allocate(capacity: 1); unsafe pthread_mutex_init(l, nil); self.v = v }
 deinit { unsafe pthread_mutex_destroy(l); unsafe l.deallocate() } }
struct Mutex<V>: ~Copyable, @unchecked Sendable { let b: MutexBox<V>
 init(_ v: sending V) { b = MutexBox(v) }
 borrowing func withLock<R, E: Error>(_ f: (inout V) throws(E) -> R) throws(E) -> R { unsafe pthread_mutex_lock(b.l); defer { unsafe pthread_mutex_unlock(b.l) }; return try f(&b.v) } }

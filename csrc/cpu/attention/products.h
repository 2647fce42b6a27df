// The scaled products of a block of queries and the keys, for rungs 3 and 4.
#pragma once
#include "query.h"
#include "tiles.h"

namespace scratchnet {
namespace {

template <class T>
struct Products {
  using A = acc_t<T>;
  const Attention& p;
  const QueryBlocks blocks;
  const Scratch<A> q, k, s;  // scaled queries; keys in panels; their products (QUERIES, KEYS)

  explicit Products(const Attention& p) : p(p), blocks(p), q(QUERIES, p.size), k(KEYS, p.size), s(QUERIES, KEYS) {}

  // Calls f(block) for each block of keys that queries of block i see some of, with their products in s.
  template <class F>
  void for_each_block(int64_t b, int64_t h, int64_t i, const F& f) const {
    for (int64_t j = 0; j < key_blocks(p); j++) {
      const Block block = block_of(p, blocks, i, j);
      if (!block.visible()) continue;
      const T* const keys = (const T*)p.k.data + p.k.offset(b, p.group(h), block.j);
      pack<COLUMNS<A>>(keys, p.k.row, p.k.column, block.columns, p.size, k.data());
      for (int64_t r = 0; r < block.rows; r++)
        for (int64_t e = 0; e < p.size; e++) q[r * p.size + e] = A(Query<T>(p, b, h, block.i + r).q(e)) * A(p.scale);
      scores<A>(block, p.size, {q.data(), p.size, 1}, k.data(), s.data());
      f(block);
    }
  }
};

}  // namespace
}  // namespace scratchnet

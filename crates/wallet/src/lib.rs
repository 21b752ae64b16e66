//! What a Cashu wallet decides: select, derive, send, receive, pay, restore, and the ports it needs.

// The peer's configuration, as a text that is written to a file for it. Tuned to be fast: it is to be the best that it can.

enum KamailioConfiguration {
    static let text = #"""
        #!KAMAILIO
        # The peer of `sipcore-bench compare`: a registrar in memory and a stateful proxy that do what `sipcore core` does in each
        # mode, set up to be fast. On the command line: -l listener, -n workers, -m memory, -x tlsf, and with -A
        #   SERVER="sip:127.0.0.1:5080"     the application server
        #   SELF="sip:127.0.0.1:5060"       this proxy, as it names itself to the application server
        #   WITH_DIGEST                     REGISTER is challenged (MD5, qop auth)
        #   WITH_THIRD_PARTY                the application server is told of each REGISTER
        #   PREALLOCATED                    all memory is there before the first request, as in a server in service
        #   WITH_PROXY                      stateful: PUBLISH, MESSAGE and INVITE go on (without: answers are stateless)

        debug=0
        log_stderror=yes
        memdbg=5
        memlog=5
        corelog=4
        fork=yes
        disable_tcp=yes
        auto_aliases=no
        alias="home1.test"
        dns=no
        rev_dns=no
        use_dns_cache=no
        use_dst_blocklist=no
        server_signature=no
        onsend_route_reply=no
        maxbuffer=4194304
        #!ifdef PREALLOCATED
        shm_force_alloc=yes
        mlock_pages=yes
        #!endif

        loadmodule "sl.so"
        loadmodule "pv.so"
        loadmodule "maxfwd.so"
        loadmodule "textops.so"
        loadmodule "siputils.so"
        loadmodule "usrloc.so"
        loadmodule "registrar.so"
        #!ifdef WITH_PROXY
        #!define WITH_TRANSACTIONS
        #!endif
        #!ifdef WITH_THIRD_PARTY
        #!define WITH_TRANSACTIONS
        #!endif
        #!ifdef WITH_TRANSACTIONS
        loadmodule "tm.so"
        loadmodule "tmx.so"
        loadmodule "rr.so"
        modparam("tm", "fr_timer", 32000)
        modparam("rr", "enable_full_lr", 0)
        modparam("rr", "append_fromtag", 0)
        #!else
        modparam("sl", "bind_tm", 0)
        #!endif
        #!ifdef WITH_THIRD_PARTY
        loadmodule "uac.so"
        modparam("uac", "restore_mode", "none")
        #!endif
        #!ifdef WITH_DIGEST
        loadmodule "auth.so"
        modparam("auth", "qop", "auth")
        modparam("auth", "nonce_expire", 300)
        modparam("auth", "nonce_count", 0)
        #!endif

        modparam("usrloc", "db_mode", 0)
        modparam("usrloc", "use_domain", 1)
        modparam("usrloc", "hash_size", 17)
        modparam("usrloc", "timer_interval", 60)
        modparam("registrar", "default_expires", 3600)
        modparam("registrar", "max_expires", 600000)
        modparam("registrar", "gruu_enabled", 0)

        request_route {
        	if (!mf_process_maxfwd_header("10")) {
        		sl_send_reply("483", "Too Many Hops");
        		exit;
        	}
        #!ifdef WITH_TRANSACTIONS
        	if (has_totag()) {
        		route(DIALOG);
        		exit;
        	}
        	# A retransmission is answered, or absorbed, by its transaction.
        	if (t_precheck_trans()) {
        		t_check_trans();
        		exit;
        	}
        	t_check_trans();
        #!endif
        	if (is_method("REGISTER")) {
        		route(REGISTRATION);
        		exit;
        	}
        	if (is_method("OPTIONS") && $rU == $null) {
        		sl_send_reply("200", "OK");
        		exit;
        	}
        #!ifdef WITH_PROXY
        	route(INITIAL);
        #!else
        	sl_send_reply("404", "Not Found");
        #!endif
        }

        route[REGISTRATION] {
        #!ifdef WITH_DIGEST
        	if (!pv_auth_check("$td", "pw-$tU", "0", "0")) {
        		www_challenge("$td", "1");
        		exit;
        	}
        	consume_credentials();
        #!endif
        	if (!save("location")) {
        		sl_reply_error();
        		exit;
        	}
        #!ifdef WITH_THIRD_PARTY
        	$uac_req(method) = "REGISTER";
        	$uac_req(ruri) = SERVER;
        	$uac_req(furi) = SELF;
        	$uac_req(turi) = $tu;
        	$uac_req(hdrs) = "Contact: <" + SELF + ">\r\nExpires: 3600\r\n";
        	uac_req_send();
        #!endif
        }

        #!ifdef WITH_TRANSACTIONS
        # Within a dialog the route set that was recorded says where to.
        route[DIALOG] {
        	if (loose_route()) {
        		t_relay();
        		exit;
        	}
        	if (is_method("ACK")) {
        		if (t_check_trans()) t_relay();
        		exit;
        	}
        	sl_send_reply("481", "Call Does Not Exist");
        }
        #!endif

        #!ifdef WITH_PROXY
        route[INITIAL] {
        	if (is_method("PUBLISH")) {
        		# The served user of an originating request is a registered one.
        		if (!registered("location", "$fu")) {
        			sl_send_reply("403", "Forbidden");
        			exit;
        		}
        		if (!str_find("$hdr(Accept-Contact)", "+g.oma.sip-im")) {
        			sl_send_reply("404", "Not Found");
        			exit;
        		}
        		$du = SERVER;
        		if (!t_relay()) sl_reply_error();
        		exit;
        	}
        	if (is_method("INVITE")) record_route();
        	if (!lookup("location")) {
        		sl_send_reply("404", "Not Found");
        		exit;
        	}
        	if (!t_relay()) sl_reply_error();
        }
        #!endif

        """#
}
